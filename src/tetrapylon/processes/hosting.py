"""What hosts of apps say of them, kept by the supervisor: counted, told to workers and the control process.

New code brings a new host; the one before runs on, for each of its apps until the new host's serve. So an app
whose new code does not come to serve is served by the old.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.processes.channel import Channel, Found, Hosting, Keep, content_of, file_of
from tetrapylon.processes.child import Child
from tetrapylon.processes.fork import describe_end, send_signal
from tetrapylon.processes.handover import StandIn
from tetrapylon.telemetry.events import say

__all__ = ["Host", "Hostings"]

PROCESSES = "tetrapylon_app_processes"
RESTARTS = "tetrapylon_app_restarts_total"
NONE = msgspec.msgpack.encode(())


class Host:
    """What one of them says."""

    def __init__(self, before: StandIn | None = None) -> None:
        """`before`: it is one that the supervisor before has left."""
        self.before = before
        self.channel = Channel.of(before.channel) if before is not None else None
        self.told: dict[str, dict[str, Any]] = {}
        self.targets: dict[str, bytes] = {}
        """Where its apps listen, by app."""
        self.said = False
        self.located: set[str] = set()
        """Apps of which it has said where they listen."""
        self.heard = False
        """It is known what it has."""
        self.keeps: tuple[str, ...] | None = None
        """What it was told to run on; None: all that it has."""
        self.asked = False
        """To say what it has."""
        self.ending = False
        self.quits = False
        """It was told that nobody needs it any more, at the gateway's end."""

    @property
    def pid(self) -> int:
        """0: it is our own."""
        return self.before.pid if self.before is not None else 0

    def __str__(self) -> str:
        return f"old host of apps (pid {self.pid})"

    def serving(self, app: str) -> int:
        """How many processes of it."""
        return len(msgspec.msgpack.decode(self.targets.get(app, NONE)))

    def wanted(self, app: str) -> int:
        """How many it is to have; more than there can be where it has not said so."""
        most: int = self.told.get(app, {}).get("processes", 1 << 30)
        return most


class Hostings:
    def __init__(
        self,
        slab: Slab,
        publish: Callable[[str, bytes], None],
        tell: Callable[[Hosting, Sequence[int]], object],
        before: Iterable[StandIn] = (),
    ) -> None:
        """`publish` is told where an app listens, as MessagePack; `tell` what becomes of all of them, with a
        file. `before`, the newest first."""
        self.own = Host()
        self.old = [Host(each) for each in before]
        self._slab = slab
        self._publish = publish
        self._tell = tell
        self._published: dict[str, bytes] = {}
        self._apps: dict[str, dict[str, Any]] = {}
        """What is told of them."""
        self._lagging: set[str] = set()
        """Apps that the old serve because the new do not come to: it was said."""

    @property
    def serving(self) -> list[str]:
        """Apps of which some process serves."""
        return [name for name, told in self._apps.items() if told["up"]]

    @property
    def channels(self) -> list[Channel]:
        """To old hosts."""
        return [host.channel for host in self.old if host.channel is not None]

    def stand_ins(self, own: Child | None, lifeline: int) -> list[StandIn]:
        """For a supervisor to come. `own` is our own host."""
        found = []
        if own is not None and own.channel is not None:
            found.append(StandIn(own.pid, own.channel.fileno(), lifeline))
        return found + [host.before for host in self.old if host.before and host.channel is not None]

    def hear(self, ready: set[int]) -> None:
        """What old hosts say, on those of their channels that can be read."""
        for host in self.old:
            if host.channel is None or host.channel.fileno() not in ready:
                continue
            try:
                heard = host.channel.receive()
            except BlockingIOError:
                continue
            except msgspec.DecodeError as error:
                say("warning", f"{host} says what this version does not know: {error}")
                continue
            if heard is None:
                host.channel.close()
                host.channel = None
                continue
            message, files = heard
            if isinstance(message, (Hosting, Found)):
                self.take(message, files[0], host)
            for file in files:
                os.close(file)

    def take(self, message: Hosting | Found, file: int, host: Host | None = None) -> None:
        """From our own host, or from that one."""
        host = host or self.own
        if isinstance(message, Found):
            host.targets[message.upstream] = content_of(file)
            host.located.add(message.upstream)
        else:
            host.told = msgspec.json.decode(content_of(file))
            host.said = True
        # What it said to the supervisor before may come first, without where its apps listen.
        up = {name for name, told in host.told.items() if told["up"]}
        host.heard = host.heard or (host.said and up <= host.located)
        self._settle()

    def lost(self) -> None:
        """Our own host has ended, and its apps with it."""
        self.own = Host()
        self._settle()

    def reaped(self, pid: int, status: int) -> bool:
        """Whether it was an old host."""
        found = [host for host in self.old if host.pid == pid]
        for host in found:
            if not host.ending:
                say("warning", f"{host} {describe_end(status)}")
            if host.channel is not None:
                host.channel.close()
            self.old.remove(host)
        if found:
            self._settle()
        return bool(found)

    def lead(self, apps: Iterable[str], draining: bool) -> None:
        """To be called now and then: old hosts end what a newer one serves, or nobody needs. `apps` are those
        of the config. `draining`: old workers may have requests for any of theirs."""
        names = set(apps)
        for host in self.old:
            keeps = host.keeps
            if host.heard and not draining:
                keeps = tuple(sorted(name for name in host.targets if host.serving(name) and name in names))
            if (host.asked and keeps == host.keeps) or host.channel is None or host.ending:
                continue
            if host.channel.send(Keep(keeps)):
                host.asked = True
                host.keeps = keeps
                host.ending = keeps == ()

    def end(self) -> None:
        """No worker has a request left for any of their apps."""
        for host in self.old:
            if not host.quits:
                host.ending = host.quits = True
                send_signal(host.pid, signal.SIGQUIT)

    def signal(self, number: int) -> None:
        """To old hosts."""
        for host in self.old:
            send_signal(host.pid, number)

    def tell(self) -> None:
        file = file_of(msgspec.json.encode(self._apps), "apps")
        self._tell(Hosting(), [file])
        os.close(file)

    def forget(self) -> None:
        """Whoever comes counts them from the start."""
        self._count(self._apps, {})

    def recall(self) -> None:
        """Nobody came."""
        self._count({}, self._apps)

    def close_channels(self) -> None:
        """In a child, which has no business with them."""
        for channel in self.channels:
            channel.close()

    # --

    def _settle(self) -> None:
        """Who serves which app now."""
        for app in {*self._published, *(name for host in (self.own, *self.old) for name in host.targets)}:
            self._choose(app)
        apps = {name: self._about(name) for name in self._names()}
        if apps != self._apps:
            self._count(self._apps, apps)
            self._apps = apps
            self.tell()

    def _names(self) -> list[str]:
        found = dict.fromkeys(self.own.told)
        for host in self.old:
            found |= dict.fromkeys(name for name in host.told if host.serving(name))
        return list(found)

    def _choose(self, app: str) -> None:
        """The newest host that has as many processes of it serving as an older one has, or as it is to have:
        then the older one's are not needed any more."""
        chosen = self.own
        for host in self.old:
            serve = host.serving(app)
            if chosen.serving(app) < min(serve, chosen.wanted(app)):
                chosen = host
            elif serve:
                del host.targets[app]
        targets = chosen.targets.get(app, NONE)
        # Of one that nobody serves that is said once all have been heard: workers wait until then.
        unheard = any(not host.heard and host.channel is not None for host in self.old)
        known = app in self._published or app in self.own.targets
        if (targets != NONE or (known and not unheard)) and self._published.get(app) != targets:
            self._published[app] = targets
            self._publish(app, targets)
        self._say(app, chosen)

    def _say(self, app: str, chosen: Host) -> None:
        if chosen is self.own:
            if app in self._lagging and chosen.serving(app):
                say("info", f"app {app}: the new code serves; the old ends", app=app)
            self._lagging.discard(app)
            return
        told = self.own.told.get(app, {})
        if told.get("restarts") and app not in self._lagging:
            self._lagging.add(app)
            serve = f"{told['up']} of {told['processes']} processes of the new code serve"
            why = f"{serve}: {told.get('last_end')}"
            say(
                "error",
                f"app {app}: {why}; the old code serves on until as many do: mend the app, which is tried"
                " again by itself, or go back to its old code",
                app=app,
            )

    def _about(self, app: str) -> dict[str, Any]:
        own = self.own.told.get(app)
        old = next((host.told[app] for host in self.old if host.serving(app) and app in host.told), None)
        if old is None or own is None:
            return own or {**(old or {}), "outdated": True, "restarts": 0}
        return {
            **own,
            "up": old["up"],
            "pids": [*old["pids"], *own["pids"]],
            "targets": old["targets"],
            "outdated": True,
        }

    def _count(self, before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> None:
        for name in before.keys() | after.keys():
            was, now = before.get(name, {}), after.get(name, {})
            up = now.get("up", 0) - was.get("up", 0)
            if up:
                self._slab.count(PROCESSES, {"app": name}, up, gauge=True)
            died = now.get("restarts", 0) - was.get("restarts", 0)
            if died > 0:
                self._slab.count(RESTARTS, {"app": name}, died)
