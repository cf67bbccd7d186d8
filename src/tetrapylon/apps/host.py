"""The process that hosts the apps of a config, one server each."""

from __future__ import annotations

import os
import select
import signal
import stat
import time
from contextlib import suppress

from tetrapylon import events, logs
from tetrapylon.apps.hosted import Hosted
from tetrapylon.channel import Hosting, News, content_of
from tetrapylon.config.model import Config
from tetrapylon.config.wire import Encoded
from tetrapylon.errors import TetrapylonError
from tetrapylon.events import say
from tetrapylon.process import Context
from tetrapylon.wakeup import Pipe, handle_signals

__all__ = ["main"]

BEAT = 1.0
LOOK = 0.05
"""Seconds between two looks at an app that starts."""
HANDLED = (signal.SIGQUIT, signal.SIGUSR1, signal.SIGCHLD)


def main(context: Context) -> int:
    """Hosts until QUIT, or until the supervisor is gone. Returns the exit status."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends after the workers, whose requests need the apps
    return Host(context).run()


def socket_of(config: Config, name: str) -> str:
    """Where the workers look for an app; it is another for other settings."""
    return config.upstreams[name].targets[0].url.removeprefix("unix:")


class Host:
    def __init__(self, context: Context) -> None:
        assert context.channel is not None
        self._channel = context.channel
        self._lifeline = context.lifeline
        self._grace = context.timing.grace
        self._config = Encoded(content_of(context.config)).head
        os.close(context.config)
        self._folder = ""
        self._apps: dict[str, Hosted] = {}
        self._leaving: list[Hosted] = []
        self._ended = False
        self._heard_last = False
        self._told = False
        self._wakeup = Pipe()

    def run(self) -> int:
        handle_signals(self._wakeup.write, HANDLED)
        self._take(self._config)
        try:
            while not self._ended or any(each.pid for each in self._all):
                now = time.monotonic()
                for each in self._apps.values():
                    if each.start_at is not None and each.start_at <= now:
                        each.start(now)
                ready = self._wait(now)
                self._hear(ready)
                self._look(time.monotonic())
        finally:
            for each in self._all:
                each.kill()
        if self._folder:
            for name in os.listdir(self._folder):
                os.unlink(os.path.join(self._folder, name))
            os.rmdir(self._folder)
        return 0

    @property
    def _all(self) -> list[Hosted]:
        return [*self._apps.values(), *self._leaving]

    def _take(self, config: Config) -> None:
        """Starts, stops and keeps apps by what tells this config from the last."""
        for name in config.apps:
            self._folder = os.path.dirname(socket_of(config, name))
            _make(self._folder)
        now = time.monotonic()
        for name, each in list(self._apps.items()):
            if name not in config.apps:
                each.stop(now, each.app.drain)
                self._leaving += [each, *each.follows]
                del self._apps[name]
        for name, app in config.apps.items():
            before = self._apps.get(name)
            if before is not None and before.app == app:
                continue
            self._apps[name] = made = Hosted(name, app, socket_of(config, name))
            made.start_at = now
            if before is not None:
                self._replace(before, made, now)
        self._config = config

    def _replace(self, before: Hosted, made: Hosted, now: float) -> None:
        """What serves goes on until its successor does; what does not has had its time."""
        made.follows = before.follows
        before.follows = []
        before.replaced = True
        self._leaving.append(before)
        if before.ready:
            before.start_at = None
            made.follows.append(before)
        else:
            before.stop(now, before.app.drain)

    def _wait(self, now: float) -> set[int]:
        poll = select.poll()
        poll.register(self._wakeup.read, select.POLLIN)
        if not self._ended:
            poll.register(self._lifeline, select.POLLIN)
        if not self._ended and not self._heard_last:
            poll.register(self._channel.fileno(), select.POLLIN)
        for each in self._all:
            if each.output >= 0:
                poll.register(each.output, select.POLLIN)
        due = [each.start_at for each in self._apps.values() if each.start_at is not None]
        due += [each.kill_at for each in self._all if each.kill_at is not None]
        due += [now + LOOK for each in self._all if each.starting]
        patience = max(0.0, min([BEAT, *(at - now for at in due)]))
        return {descriptor for descriptor, _ in poll.poll(patience * 1000)}

    def _hear(self, ready: set[int]) -> None:
        for each in self._all:
            if each.output in ready:
                each.hear()
        if self._wakeup.read in ready:
            for number in self._wakeup.drain():
                if number == signal.SIGQUIT:
                    self._end()
                elif number == signal.SIGUSR1:
                    events.reopen()
        if self._lifeline in ready:
            self._end()
        elif self._channel.fileno() in ready and not self._ended:
            self._news()

    def _news(self) -> None:
        try:
            heard = self._channel.receive()
        except BlockingIOError:
            return
        if heard is None:
            self._heard_last = True  # new code takes the supervisor's place; the lifeline tells its end
            return
        message, files = heard
        if isinstance(message, News):
            config = Encoded(content_of(files[0])).head
            logs.follow(self._config.log.errors, config.log.errors)
            self._take(config)
        for file in files:
            os.close(file)

    def _look(self, now: float) -> None:
        events.tick()
        for each in self._all:
            each.look(now)
            each.reap(now)
            if each.kill_at is not None and now >= each.kill_at:
                say("warning", f"app {each.name} (pid {each.pid}) has not ended in time; killing it")
                each.kill()
        self._leaving = [each for each in self._leaving if each.pid]
        if not self._told and all(each.tried for each in self._apps.values()):
            self._told = self._channel.send(Hosting())

    def _end(self) -> None:
        """No worker has a request left for the apps."""
        if self._ended:
            return
        self._ended = True
        now = time.monotonic()
        for each in self._all:
            each.stop(now, self._grace * 0.8)


def _make(folder: str) -> None:
    """A folder that this user alone can open. Raises TetrapylonError where there is something else."""
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.geteuid()
        or stat.S_IMODE(found.st_mode) != 0o700
    ):
        raise TetrapylonError(
            f"{folder} is no folder of this user's alone: apps cannot have their sockets there"
        )
