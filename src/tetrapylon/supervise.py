"""The supervisor: opens the sockets, forks the workers and the control process, and keeps them alive.

It imports and freezes what its children share, makes no loop and no thread, and stays small: everything that
needs more (reading the config, the admin's answers) runs in a child.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from tetrapylon import __version__
from tetrapylon._core.counters import Slabs, State
from tetrapylon.child import Child
from tetrapylon.events import line, say
from tetrapylon.plan import ConfigRefused, Main, Plan, load_plan
from tetrapylon.process import EXIT_FAILED, EXIT_USAGE, SIGNALS, Context
from tetrapylon.sockets import Listener, ListenError, open_listeners


def run(source: str, *, listen: list[str], workers: int | None) -> int:
    """Serves the config in `source`, a path or `module:attribute`, until stopped; returns the exit status.

    `listen` and `workers` take the place of what the config says, unless empty or None.
    """
    try:
        plan = load_plan(source, listen=listen, workers=workers)
    except ConfigRefused as refused:
        return refused.status
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
        self._plan = plan
        self._listeners = open_listeners(plan.listen, plan.workers, "server.listen", tls=plan.tls)
        self._admin: list[Listener] = []
        try:
            self._admin = open_listeners([plan.admin] if plan.admin else [], 1, "admin.listen")
            self._slabs = Slabs(plan.workers, plan.routes)
        except BaseException:
            self._close_listeners()
            raise
        self._slab = self._slabs.supervisor()
        self._wakeup = _Pipe()
        self._notify = _Pipe()
        self._lifeline = _Pipe()
        self._workers = [
            Child(f"worker {i}", self._main(plan.worker, i), self._slabs.slab(i), plan.timing)
            for i in range(plan.workers)
        ]
        self._control = [
            Child("control process", self._main(main, -1), None, plan.timing)
            for main in (plan.control,)
            if main
        ]
        self._children = [*self._workers, *self._control]
        self._announced = False
        self._stops = 0
        """How many times it was told to stop."""
        self._kill_at: float | None = None
        self._control_told = False
        self._status = 0

    def run(self) -> int:
        """Serves until stopped. Returns the exit status."""
        faulthandler.enable()
        _raise_descriptor_limit(self._plan.descriptors)
        _handle_signals(self._wakeup.write)
        self._slab.claim(os.getpid())
        self._slab.state = State.SERVING
        gc.collect()
        gc.freeze()
        poll = select.poll()
        poll.register(self._wakeup.read, select.POLLIN)
        poll.register(self._notify.read, select.POLLIN)
        looked = time.monotonic()
        for child in self._children:
            child.start_at = looked
        try:
            while not self._done():
                now = time.monotonic()
                self._start_due(now)
                ready = {fd for fd, _ in poll.poll(self._timeout(now) * 1000)}
                now = time.monotonic()
                if self._notify.read in ready:
                    self._notify.drain()
                    self._note_served()
                if self._wakeup.read in ready:
                    self._take_signals(self._wakeup.drain(), now)
                if now - looked >= self._plan.timing.beat / 2 or self._stops:
                    self._look(now, now - looked)
                    looked = now
        finally:
            self._end_all()
            # A second TERM while the interpreter ends would kill it, and the status with it.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        return self._status

    # -- children

    def _main(self, main: Main, index: int) -> Callable[[], int]:
        """What a child runs once it is forked: it closes what is not its own, then goes to work."""

        def run() -> int:
            self._wakeup.close()
            os.close(self._notify.read)
            os.close(self._lifeline.write)
            for listener in self._listeners:
                listener.keep(index if index >= 0 else None)
            for listener in self._admin:
                listener.keep(0 if index < 0 else None)
            if index >= 0:
                self._slabs.close_fd()
            mine = self._listeners if index >= 0 else self._admin
            return main(
                Context(
                    worker=index,
                    sockets=[listener.socket(index) for listener in mine],
                    entries=[listener.entry for listener in mine],
                    slabs=self._slabs,
                    slab=self._slabs.slab(index) if index >= 0 else self._slab,
                    lifeline=self._lifeline.read,
                    notify=self._notify.write,
                    timing=self._plan.timing,
                )
            )

        return run

    def _start_due(self, now: float) -> None:
        for child in self._children:
            if child.start_at is not None and child.start_at <= now:
                try:
                    child.start(now)
                except OSError as error:
                    child.could_not_start(error, now)

    def _note_served(self) -> None:
        for child in self._workers:
            child.note_served()
        ready = [child for child in self._workers if child.served]
        if self._announced or self._stops or not ready:
            return
        if all(child.served or child.crash_loop for child in self._workers):
            self._announced = True
            urls = ", ".join(listener.url for listener in self._listeners)
            count = len(self._workers)
            admin = "".join(f", admin on {listener.url}" for listener in self._admin)
            line(f"tetrapylon {__version__} listening on {urls} ({count} worker{'s'[: count != 1]}){admin}")

    def _reap(self, now: float) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # Others than ours are orphans that a container's first process is given.
            child = next((child for child in self._children if child.pid == pid), None)
            if child is None:
                continue
            if os.WIFSTOPPED(status):
                child.stopped_by(os.WSTOPSIG(status))
                continue
            child.note_served()
            child.reaped(status, now, expected=self._stops > 0)
            if not self._stops:
                self._slab.count_restart()
                self._give_up_if_hopeless(status, now)

    def _give_up_if_hopeless(self, wait_status: int, now: float) -> None:
        """Where no worker ever served: after a refusal that would come again, or many deaths."""
        if any(child.served for child in self._workers):
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
                self._stop(now)
            elif number == signal.SIGQUIT:
                self._stop(now)
                self._stop(now)
            elif number == signal.SIGUSR1:
                for child in self._workers:
                    child.signal(signal.SIGUSR1)
            elif number in (signal.SIGHUP, signal.SIGUSR2):
                name = signal.Signals(number).name
                say("warning", f"{name}: this version cannot reload; restart it to apply a change")
        self._reap(now)

    def _stop(self, now: float) -> None:
        """First: stop accepting, let exchanges finish. Again: stop now."""
        self._stops += 1
        order = signal.SIGTERM if self._stops == 1 else signal.SIGQUIT
        if self._stops == 1:
            self._slab.state = State.DRAINING
            self._close_data_listeners()
            self._kill_at = now + self._plan.drain + self._plan.timing.grace
        else:
            self._kill_at = min(self._kill_at or now, now + self._plan.timing.grace)
        for child in self._children:
            child.start_at = None
        for child in self._workers:
            child.signal(order)
            child.signal(signal.SIGCONT)

    def _look(self, now: float, elapsed: float) -> None:
        if not self._stops:
            for child in self._workers:
                child.watch(now, elapsed)
            return
        alive = [child for child in self._workers if child.alive]
        if not alive and not self._control_told:
            # Last, so that it can answer "draining" to the end.
            self._control_told = True
            for child in self._control:
                child.signal(signal.SIGQUIT)
            self._kill_at = now + self._plan.timing.grace
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            for child in alive or self._control:
                if child.alive:
                    say("warning", f"{child} has not ended in time; killing it")
                    child.signal(signal.SIGKILL)

    def _done(self) -> bool:
        return self._stops > 0 and not any(child.alive for child in self._children)

    def _timeout(self, now: float) -> float:
        """Seconds until something is due, a look at the heartbeats at the latest."""
        due = [child.start_at for child in self._children if child.start_at is not None]
        if self._kill_at is not None:
            due.append(self._kill_at)
        return max(0.0, min([self._plan.timing.beat, *(at - now for at in due)]))

    def _end_all(self) -> None:
        """Only an exception of the supervisor's own comes here with children alive."""
        for child in self._children:
            child.signal(signal.SIGKILL)
            if child.alive:
                os.waitpid(child.pid, 0)
        self._close_listeners()

    def _close_data_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _close_listeners(self) -> None:
        for listener in [*self._listeners, *self._admin]:
            listener.close()


class _Pipe:
    """A non-blocking pipe that carries "look"."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def drain(self) -> bytes:
        with suppress(BlockingIOError):
            return os.read(self.read, 4096)
        return b""

    def close(self) -> None:
        os.close(self.read)
        os.close(self.write)


def _raise_descriptor_limit(needed: int) -> None:
    """To the hard limit: the soft one is kept low for programs that use select(2)."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError) as error:  # unlimited may be more than the kernel allows one process
        say("warning", f"the limit of descriptors stays at {soft}: {error}")
        most = soft
    if most != resource.RLIM_INFINITY and most < needed:
        say(
            "warning",
            f"a worker may need {needed} descriptors and is allowed {most}: more clients have to wait;"
            " raise the limit (ulimit -Hn, LimitNOFILE=) or lower server.limits.connections",
        )


def _handle_signals(wakeup: int) -> None:
    """Each signal's number becomes a byte in the pipe."""

    def note(number: int, frame: FrameType | None) -> None:
        pass

    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, note)
