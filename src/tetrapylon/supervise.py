"""The supervisor: opens the sockets, forks the workers and the control process, and keeps them alive.

It imports and freezes what its children share, makes no loop and no thread, and stays small: everything that
needs more (reading the config, the admin's answers) runs in a child.
"""

from __future__ import annotations

import faulthandler
import gc
import math
import os
import signal
import time
from collections.abc import Iterable, Sequence
from functools import partial

from tetrapylon._core.resident import forget_files, trim_heap
from tetrapylon._core.telemetry.counters import Slab, State
from tetrapylon.net.listening import Change, Listening
from tetrapylon.net.sockets import Listener, ListenError, given_by_manager, open_listeners
from tetrapylon.plan import ConfigRefused, Main, Plan, Source, load_plan
from tetrapylon.processes.channel import (
    Ask,
    Channel,
    Committed,
    Done,
    Found,
    Hosting,
    News,
    Pairs,
    Prepared,
    Purge,
    Reload,
    Roll,
    Told,
    file_of,
)
from tetrapylon.processes.child import Child
from tetrapylon.processes.findings import Findings
from tetrapylon.processes.fork import (
    EXIT_FAILED,
    EXIT_USAGE,
    SIGNALS,
    Context,
    describe_end,
    raise_descriptor_limit,
    send_signal,
)
from tetrapylon.processes.handover import TRIAL, Shared, become, memory_of, received, try_out
from tetrapylon.processes.hosting import Hostings
from tetrapylon.processes.predecessors import Predecessors
from tetrapylon.processes.reading import Facts
from tetrapylon.processes.reload import Order, Reloads
from tetrapylon.processes.service import Manager, activated
from tetrapylon.processes.wakeup import Pipe, handle_signals, readable
from tetrapylon.telemetry import events, logs
from tetrapylon.telemetry.events import line, say

CONTROL = "control process"
HOST = "host of apps"
END_OF_APPS = 5.0  # seconds that apps have to end, beside the grace of other processes
MOST_WORKERS = 64
"""There is room for so many, or for twice as many as at the start if that is more."""


def run(source: Source, *, watch: bool = False) -> int:
    """Serves the config in `source` until stopped; returns the exit status.

    `watch`: a change of its files is a reload; of an app's code, its processes are replaced.
    """
    try:
        plan = load_plan(source)
    except ConfigRefused as refused:
        return refused.status
    if TRIAL in os.environ:
        from tetrapylon.apps.recognise import try_apps

        return try_apps(plan.config, os.environ[TRIAL].split())
    if watch:
        from tetrapylon.control import watch as watcher

        plan = plan._replace(watch=watcher.main)
    return serve(plan)


def serve(plan: Plan) -> int:
    """As `run`, for a plan of one's own."""
    try:
        return Supervisor(plan).run()
    except ListenError as error:
        line(f"tetrapylon: {error}")
        return EXIT_USAGE


class Supervisor:
    """Runs a plan until it is told to stop. Raises ListenError from its constructor."""

    def __init__(self, plan: Plan) -> None:
        facts = plan.facts
        self._plan = plan
        self._facts = facts
        self._manager = Manager()
        self._handover = handover = received()
        given = [given_by_manager(sock) for sock in activated()]
        given += handover.sockets() if handover else []
        self._listening = Listening(facts.listen, facts.workers, facts.tls, given)
        self._admin: list[Listener] = []
        try:
            given += handover.admin_sockets() if handover else []
            admin = [facts.admin] if facts.admin else []
            self._admin = open_listeners(
                admin, 1, "admin.listen", tls=admin if facts.admin_tls else (), given=given
            )
            for listener in given:
                say("warning", f"{listener.address} was handed over and is in no use; closing it")
                listener.close()
            most = max(MOST_WORKERS, 2 * facts.workers)
            memory = handover.memory if handover else None
            self._shared = Shared(memory, plan.goes_on, facts.workers, most, facts.room, plan.shares)
            self._slabs = self._shared.slabs
        except BaseException:
            self._close_listeners()
            raise
        self._slab = self._slabs.supervisor()
        self._wakeup = Pipe()
        self._notify = Pipe()
        self._lifeline = Pipe()
        self._old = Predecessors(handover.workers, handover.silent_hosts) if handover else Predecessors()
        self._trial = 0
        """The process that tries out new code."""
        self._reloads = Reloads(self, plan.read, plan.config, plan.slots, facts, plan.source)
        self._workers: list[Child] = []
        self._leaving: dict[Child, float] = {}
        """Workers that drain for good, each with the time at which it is killed."""
        for _ in range(facts.workers):
            self._add_worker()
        self._findings = Findings()
        stand_ins = handover.stand_ins if handover else ()
        self._hostings = Hostings(self._slab, self._found, partial(self._to, CONTROL), stand_ins)
        self._control: list[Child] = []
        self._add_control()
        self._add_host()
        if plan.watch is not None:
            self._control.append(
                Child("watcher", partial(self._main, plan.watch, -1, None), None, plan.timing)
            )
        self._announced = False
        self._stops = 0
        """How many times it was told to stop."""
        self._drain_at = self._kill_at = math.inf
        self._control_told = False
        self._status = 0

    def run(self) -> int:
        """Serves until stopped. Returns the exit status."""
        faulthandler.enable()
        raise_descriptor_limit(self._facts.descriptors)
        handle_signals(self._wakeup.write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for pid in self._handover.control if self._handover else []:
            send_signal(pid, signal.SIGQUIT)
        self._slab.claim(os.getpid())
        self._slab.state = State.SERVING
        gc.collect()
        gc.freeze()
        trim_heap()  # its holes would be copied, page by page, as each child fills them
        looked = time.monotonic()
        self._reap(looked)  # of those that were handed over
        self._hostings.lead(self._facts.apps, bool(self._old))
        for child in self._children:
            child.start_at = looked
        try:
            while not self._done():
                now = time.monotonic()
                self._start_due(now)
                ready = self._wait(now)
                now = time.monotonic()
                for child in self._children:
                    if child.channel is not None and child.channel.fileno() in ready:
                        self._hear(child, child.channel, now)
                self._hostings.hear(ready)
                self._reloads.tick(now)
                self._manager.alive(now)
                if self._notify.read in ready:
                    self._notify.drain()
                    self._note_served()
                if self._wakeup.read in ready:
                    self._take_signals(self._wakeup.drain(), now)
                if now >= self._drain_at:
                    self._drain(signal.SIGTERM, now)
                if now - looked >= self._plan.timing.beat / 2 or self._stops:
                    self._look(now, now - looked)
                    looked = now
        finally:
            self._end_all()
            # A second TERM while the interpreter ends would kill it, and the status with it.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        return self._status

    # -- children

    @property
    def _children(self) -> list[Child]:
        return [*self._workers, *self._leaving, *self._control]

    def _main(self, main: Main, place: int, slab: Slab | None, channel: Channel) -> int:
        """What a child runs once it is forked: it closes what is not its own, then goes to work."""
        self._wakeup.close()
        os.close(self._notify.read)
        os.close(self._lifeline.write)
        for descriptor in self._handover.lifelines if self._handover is not None else ():
            os.close(descriptor)
        self._hostings.close_channels()
        for child in self._children:
            if child.channel is not None:
                child.channel.close()
        self._reloads.forget_files()
        worker = place >= 0
        self._listening.keep(place if worker else None)
        sockets = self._listening.of(place) if worker else []
        for listener in self._admin:
            own = listener.sockets(0, 1) if main is self._plan.control else []
            listener.keep(own)
            sockets += [(sock, listener.asked) for sock in own]
        if worker:
            self._slabs.close_descriptors()
            os.close(self._plan.slots)
        return main(
            Context(
                worker=place,
                sockets=sockets,
                slabs=self._slabs,
                slab=slab or self._slab,
                config=self._reloads.config,
                slots=self._plan.slots,
                channel=channel,
                lifeline=self._lifeline.read,
                notify=self._notify.write,
                timing=self._plan.timing,
                found=self._findings.targets,
            )
        )

    def _add_worker(self) -> None:
        place = len(self._workers)
        slab = self._slabs.slab(self._shared.free([*self._workers, *self._leaving]))
        main = partial(self._main, self._plan.worker, place, slab)
        self._workers.append(Child(f"worker {place}", main, slab, self._plan.timing, place))

    def _add_control(self) -> None:
        """Where there is something for it to do, and none yet."""
        if self._facts.admin is not None or self._facts.follows:
            self._add(CONTROL, self._plan.control, 0)

    def _add_host(self) -> None:
        """As `_add_control`, for apps; it ends when the last worker has."""
        if self._facts.apps:
            self._add(HOST, self._plan.host, len(self._control))

    def _add(self, name: str, main: Main | None, at: int) -> None:
        if main is not None and all(child.name != name for child in self._control):
            child = Child(name, partial(self._main, main, -1, None), None, self._plan.timing)
            self._control.insert(at, child)
            child.start_at = time.monotonic()

    def _start_due(self, now: float) -> None:
        for child in self._children:
            if child.start_at is not None and child.start_at <= now:
                try:
                    child.start(now)
                except OSError as error:
                    child.could_not_start(error, now)
                    continue
                if child in self._control:
                    self.tell()
                else:
                    self._reloads.born(child)

    def _wait(self, now: float) -> set[int]:
        """Sleeps until something is to be read or done; the descriptors that can be read."""
        channels = [child.channel for child in self._children if child.channel is not None]
        heard = [channel.fileno() for channel in [*channels, *self._hostings.channels]]
        # A channel whose child has died says so until the child is reaped, which SIGCHLD brings about.
        return readable([self._wakeup.read, self._notify.read, *heard], self._timeout(now))

    def _hear(self, child: Child, channel: Channel, now: float) -> None:
        try:
            heard = channel.receive()
        except BlockingIOError:
            return
        if heard is None:
            child.part()
            return
        message, files = heard
        match message:
            case Prepared() | Committed():
                self._reloads.heard(child, message, now)
            case Reload():
                # The watcher wants no answer: what it gets are the news.
                reply = partial(self._reply, message.number) if message.number else None
                self._reloads.order(Order(message.origin, message.dry_run, message.back, reply), now)
            case Ask() | Purge():
                self._ask_all(message, files)
            case Pairs():
                if not self._to(CONTROL, message, files):  # some may be lost: that is counted and not said
                    self._slab.count("tetrapylon_shadow_batches_lost_total", {})
            case Hosting():
                self._hostings.take(message, files[0])
            case Roll():
                self._to(HOST, message)
            case Told():
                self._to_control(Told(message.number, child.place), files)
            case Found() if child.name == HOST:
                self._hostings.take(message, files[0])
            case Found():
                self._findings.take(message, files[0], [*self._workers, *self._leaving])
        for file in files:
            os.close(file)

    # -- the control process

    def _ask_all(self, message: Ask | Purge, files: Sequence[int] = ()) -> None:
        """Each worker answers the control process, which is told how many will."""
        children = self._workers if isinstance(message, Ask) else [*self._workers, *self._leaving]
        channels = [child.channel for child in children if child.channel is not None]
        asked = [channel for channel in channels if channel.send(message, files)]
        self._to_control(Told(message.number, -1, len(asked)))

    def _to_control(self, message: Done | News | Told, files: Sequence[int] = ()) -> None:
        for child in self._control if isinstance(message, News) else self._control[:1]:
            if child.channel is not None and not child.channel.send(message, files):
                say("warning", f"{child} does not listen")

    def _to(self, name: str, message: Pairs | Hosting | Roll, files: Sequence[int] = ()) -> bool:
        """Whether the child of that name is there and has been told."""
        child = next((child for child in self._control if child.name == name), None)
        return child is not None and child.channel is not None and child.channel.send(message, files)

    def _found(self, app: str, targets: bytes) -> None:
        self._findings.put(app, targets, [*self._workers, *self._leaving])

    def _reply(self, number: int, outcome: bytes) -> None:
        file = file_of(outcome, "outcome")
        self._to_control(Done(number), [file])
        os.close(file)

    # -- what a reload asks of it

    @property
    def living(self) -> Iterable[Child]:
        return [child for child in self._workers if child.alive]

    def tell(self) -> None:
        if self._announced and not self._stops:
            self._manager.ready(f"generation {self._reloads.generation}")
        with self._reloads.news() as files:
            self._to_control(News(), files)
        self._hostings.tell()

    def change(self, facts: Facts) -> Change:
        if facts.workers + len(self._leaving) + self._old.workers > self._slabs.workers:
            raise ListenError(
                f"server.workers: there is room for {self._slabs.workers} workers; restart it to have more"
            )
        return self._listening.change(facts.listen, facts.workers, facts.tls)

    def give_up(self, change: Change) -> None:
        self._listening.undo(change)

    def handed(self, change: Change, child: Child) -> list[tuple[int, str]]:
        if child.place >= change.workers:
            return []
        handed = self._listening.handed(change, child.place)
        return [(sock.fileno(), address) for sock, address in handed]

    def adopt(self, facts: Facts, config: int, change: Change) -> None:
        self._listening.commit(change)
        logs.follow(self._facts.errors, facts.errors)
        self._facts = facts
        self._add_control()
        self._add_host()

    def renewed(self) -> None:
        now = time.monotonic()
        self._listening.settle()
        if self._stops:
            return
        while len(self._workers) > self._facts.workers:
            child = self._workers.pop()
            child.start_at = None
            if child.alive:
                self._leaving[child] = now + self._facts.drain + self._plan.timing.grace
                child.signal(signal.SIGTERM)
        while len(self._workers) < self._facts.workers:
            self._add_worker()
            self._workers[-1].start_at = now

    def _note_served(self) -> None:
        for child in self._workers:
            child.note_served()
        if self._announced or self._stops or not any(child.served for child in self._workers):
            return
        if all(child.served or child.crash_loop for child in self._workers):
            self._announced = True
            try:
                forget_files()  # most of what it took to begin is not needed again
            except OSError as error:
                say("info", f"the supervisor keeps what it could give back of its memory: {error}")
            self._manager.announce(self._listening, self._admin, len(self._workers))
            due = time.monotonic() + self._facts.drain + self._plan.timing.grace
            self._old.end(signal.SIGTERM, due)  # what they do, the new workers can do now

    def _reap(self, now: float) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._reloads.reaped(pid, status, now) or self._hostings.reaped(pid, status):
                continue
            if self._old.reaped(pid):
                self._shared.release(pid)
                continue
            if pid == self._trial:
                self._tried(status)
                continue
            # Others than ours are orphans that a container's first process is given.
            child = next((child for child in self._children if child.pid == pid), None)
            if child is None:
                continue
            if os.WIFSTOPPED(status):
                child.stopped_by(os.WSTOPSIG(status))
                continue
            child.note_served()
            leaving = self._leaving.pop(child, None) is not None
            child.reaped(status, now, expected=self._stops > 0 or leaving)
            self._reloads.died(child, now)
            if child.name == HOST:
                self._hostings.lost()
            if not self._stops and not leaving:
                self._slab.count_restart()
                self._give_up_if_hopeless(status, now)

    def _give_up_if_hopeless(self, wait_status: int, now: float) -> None:
        """Where no worker ever served: after a refusal that would come again, or many deaths."""
        if any(child.served for child in self._workers):
            return
        if self._old:
            say("error", "no worker could begin to serve; the old ones serve on")
            return
        refused = os.WIFEXITED(wait_status) and os.WEXITSTATUS(wait_status) == EXIT_USAGE
        if refused or any(child.crash_loop for child in self._workers):
            say("error", "no worker could begin to serve; giving up")
            self._status = EXIT_USAGE if refused else EXIT_FAILED
            self._stop(now)

    # -- stopping

    def _take_signals(self, numbers: bytes, now: float) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(now, self._facts.shutdown_delay if number == signal.SIGTERM else 0.0)
            elif number == signal.SIGQUIT:
                self._stop(now)
                self._stop(now)
            elif number == signal.SIGUSR1:
                events.reopen()
                for child in self._children:
                    child.signal(signal.SIGUSR1)
                self._old.signal(signal.SIGUSR1)
                self._hostings.signal(signal.SIGUSR1)
            elif number == signal.SIGHUP:
                self._reloads.order(Order("SIGHUP"), now)
            elif number == signal.SIGUSR2:
                self._try_new_code()
        self._reap(now)

    def _stop(self, now: float, delay: float = 0.0) -> None:
        """First: after a delay, stop accepting and let exchanges finish. Again: stop now."""
        self._stops += 1
        self._manager.stopping()
        self._slab.state = State.DRAINING
        self._reloads.stop(now)
        for child in self._children:
            child.start_at = None
        if self._stops > 1 or not delay:
            return self._drain(signal.SIGTERM if self._stops == 1 else signal.SIGQUIT, now)
        self._drain_at = now + delay

    def _drain(self, order: signal.Signals, now: float) -> None:
        self._drain_at = math.inf
        self._listening.close()
        patience = self._facts.drain if order == signal.SIGTERM else 0.0
        self._kill_at = min(self._kill_at, now + patience + self._plan.timing.grace)
        for child in [*self._workers, *self._leaving]:
            child.signal(order)
            child.signal(signal.SIGCONT)
        self._old.end(order, self._kill_at)

    # -- new code

    def _try_new_code(self) -> None:
        """Whether it can begin at all is found out by a process of its own: this one has no way back."""
        if self._trial or self._old or self._reloads.busy or self._stops:
            say("warning", "SIGUSR2: not now: a reload, a replacement or the end is under way")
            return
        self._trial = try_out(self._hostings.serving)

    def _tried(self, status: int) -> None:
        self._trial = 0
        if status:
            why = f"the new code {describe_end(status)} before it could serve"
            say("error", f"SIGUSR2: {why}; the old serves on")
            return
        if self._stops:
            return
        say("info", "SIGUSR2: replacing the workers by new code")
        self._manager.reloading()
        host = next((child for child in self._control if child.alive and child.name == HOST), None)
        control = [child for child in self._control if child is not host]
        workers = [*self._workers, *self._leaving]
        memory = memory_of(self._slabs, self._plan.slots, workers)
        lifeline = self._lifeline.write
        stand_ins = self._hostings.stand_ins(host, lifeline)
        self._hostings.forget()
        try:
            become(self._listening, self._admin, workers, control, host, lifeline, memory, stand_ins)
        except OSError as error:
            self._hostings.recall()
            say("error", f"SIGUSR2: the new code could not be started: {error}; the old serves on")

    def begun(self) -> None:
        self._manager.reloading()

    def ended(self, outcome: str) -> None:
        self._slab.count("tetrapylon_reloads_total", {"outcome": outcome})

    def _look(self, now: float, elapsed: float) -> None:
        events.tick()
        self._old.look(now)
        self._hostings.lead(self._facts.apps, bool(self._old))
        if not self._stops:
            self._findings.catch_up()
            for child in self._workers:
                child.watch(now, elapsed)
            for child, due in self._leaving.items():
                if now >= due:
                    say("warning", f"{child} has not ended in time; killing it")
                    child.signal(signal.SIGKILL)
            return
        alive = [child for child in [*self._workers, *self._leaving] if child.alive]
        if not alive and not self._old:
            self._hostings.end()
        if not alive and not self._control_told:
            # Last, so that it can answer "draining" to the end.
            self._control_told = True
            for child in self._control:
                child.signal(signal.SIGQUIT)
            self._kill_at = now + self._plan.timing.grace + (END_OF_APPS if self._facts.apps else 0.0)
        if now >= self._kill_at:
            self._kill_at = math.inf
            for child in alive or self._control:
                if child.alive:
                    say("warning", f"{child} has not ended in time; killing it")
                    child.signal(signal.SIGKILL)
            if not alive:
                self._hostings.signal(signal.SIGKILL)

    def _done(self) -> bool:
        alive = self._old or self._hostings.old or any(child.alive for child in self._children)
        return self._stops > 0 and not alive

    def _timeout(self, now: float) -> float:
        """Seconds until something is due, a look at the heartbeats at the latest."""
        times = (self._drain_at, self._kill_at, *(child.start_at for child in self._children))
        spans = (self._reloads.timeout(now), self._manager.watchdog, self._plan.timing.beat)
        left = [at - now for at in times if at is not None] + [span for span in spans if span is not None]
        return max(0.0, min(left))

    def _end_all(self) -> None:
        """Only an exception of the supervisor's own comes here with children alive."""
        for child in self._children:
            child.signal(signal.SIGKILL)
            if child.alive:
                os.waitpid(child.pid, 0)
        self._close_listeners()

    def _close_listeners(self) -> None:
        self._listening.close()
        for listener in self._admin:
            listener.close()
