"""The process that hosts the apps of a config."""

from __future__ import annotations

import os
import select
import signal
import time
from itertools import count

import msgspec

from tetrapylon.apps.folder import Folder
from tetrapylon.apps.hosted import Hosted
from tetrapylon.config.model import Config, Target
from tetrapylon.config.wire import Encoded
from tetrapylon.processes.channel import APP, Found, Hosting, Keep, News, Roll, content_of, file_of
from tetrapylon.processes.fork import Context
from tetrapylon.processes.wakeup import Pipe, handle_signals
from tetrapylon.telemetry import events, logs
from tetrapylon.telemetry.events import say

__all__ = ["main"]

BEAT = 1.0
LOOK = 0.05
"""Seconds between two looks at an app that starts."""
LAST = 4.0
"""Seconds that apps have to end once no request is left."""
HANDLED = (signal.SIGQUIT, signal.SIGUSR1, signal.SIGCHLD)


def main(context: Context) -> int:
    """Hosts until QUIT, or until the supervisor is gone. Returns the exit status."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends after the workers, whose requests need the apps
    return Host(context).run()


class Host:
    def __init__(self, context: Context) -> None:
        assert context.channel is not None
        self._channel = context.channel
        self._lifeline = context.lifeline
        self._board = context.slabs.board
        self._config = Encoded(content_of(context.config)).head
        os.close(context.config)
        self._folder = Folder()
        self._numbers = count(1)
        self._apps: dict[str, Hosted] = {}
        self._leaving: list[Hosted] = []
        self._ended = False
        self._heard_last = False
        self._behind: dict[str, tuple[Target, ...]] = {}
        """What the supervisor has not taken yet."""
        self._said = b""
        self._wakeup = Pipe()

    def run(self) -> int:
        handle_signals(self._wakeup.write, HANDLED)
        self._take(self._config)
        try:
            while not self._ended or any(each.servers for each in self._all):
                ready = self._wait(time.monotonic())
                self._hear(ready, time.monotonic())
                self._look(time.monotonic())
        finally:
            for each in self._all:
                each.kill()
            self._folder.close()
        return 0

    @property
    def _all(self) -> list[Hosted]:
        return [*self._apps.values(), *self._leaving]

    def _take(self, config: Config) -> None:
        """Starts, replaces and ends processes by what tells this config from the last."""
        now = time.monotonic()
        trusted = [str(each) for each in config.server.trusted_proxies]
        for name in self._apps.keys() - config.apps.keys():
            gone = self._apps.pop(name)
            gone.end(now, last=False)
            self._leaving.append(gone)
        for name, app in config.apps.items():
            if name in self._apps:
                self._apps[name].take(app, trusted, now)
            else:
                self._apps[name] = Hosted(name, app, trusted, self._socket, self._publish, self._board)
                self._apps[name].tick(now)
        self._config = config

    def _socket(self) -> str:
        return f"{self._folder.path}/{next(self._numbers)}"

    def _publish(self, app: str, targets: tuple[Target, ...]) -> None:
        if app not in self._apps:
            return
        self._behind[app] = targets
        self._catch_up()

    def _catch_up(self) -> None:
        for app, targets in list(self._behind.items()):
            file = file_of(msgspec.msgpack.encode(targets), "found")
            if self._channel.send(Found(app, APP), [file]):
                del self._behind[app]
            os.close(file)

    def _wait(self, now: float) -> set[int]:
        poll = select.poll()
        poll.register(self._wakeup.read, select.POLLIN)
        if not self._ended:
            poll.register(self._lifeline, select.POLLIN)
        if not self._ended and not self._heard_last:
            poll.register(self._channel.fileno(), select.POLLIN)
        due = [now + BEAT]
        for each in self._all:
            for server in each.servers:
                for descriptor in server.descriptors:
                    poll.register(descriptor, select.POLLIN)
            due += each.due()
            if each.starting:
                due.append(now + LOOK)
        return {descriptor for descriptor, _ in poll.poll(max(0.0, min(due) - now) * 1000)}

    def _hear(self, ready: set[int], now: float) -> None:
        for each in self._all:
            for server in each.servers:
                for descriptor in server.descriptors:
                    if descriptor in ready:
                        server.hear(descriptor, now)
        if self._wakeup.read in ready:
            for number in self._wakeup.drain():
                if number == signal.SIGQUIT:
                    self._end(now, last=True)
                elif number == signal.SIGUSR1:
                    events.reopen()
        if self._lifeline in ready and not self._ended:
            self._end(now, last=False)
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
        elif isinstance(message, Roll):
            now = time.monotonic()
            for name in self._apps.keys() & set(message.apps):
                say("info", f"app {name}: its code has changed; replacing its processes", app=name)
                self._apps[name].roll(now)
        elif isinstance(message, Keep):
            self._keep(message.apps)
        for file in files:
            os.close(file)

    def _keep(self, apps: tuple[str, ...] | None) -> None:
        """New code has a host of its own: what that one does not serve yet."""
        now = time.monotonic()
        for name in self._apps.keys() - set(apps if apps is not None else self._apps):
            gone = self._apps.pop(name)
            gone.end(now, last=False)
            self._leaving.append(gone)
        for each in self._apps.values():
            each.publish()
        self._said = b""
        if apps == ():
            self._end(now, last=False)

    def _look(self, now: float) -> None:
        events.tick()
        for each in self._all:
            each.tick(now)
        self._leaving = [each for each in self._leaving if each.servers]
        told = msgspec.json.encode({name: each.told() for name, each in self._apps.items()})
        if told != self._said and not self._heard_last:
            file = file_of(told, "apps")
            if self._channel.send(Hosting(), [file]):
                self._said = told
            os.close(file)
        if self._behind and not self._heard_last:
            self._catch_up()

    def _end(self, now: float, *, last: bool) -> None:
        """`last`: no worker has a request left for the apps."""
        self._ended = True
        for each in self._all:
            each.end(now, LAST, last=last)
