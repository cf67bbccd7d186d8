"""New code in place of old: this process becomes a new supervisor, which inherits sockets and old workers.

The process stays the same to whoever watches it, so it stays the parent of the old workers too. They serve on
until the new ones do, and then drain.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NoReturn

import msgspec

from tetrapylon._core.telemetry.counters import Slabs
from tetrapylon.net.sockets import Held, Listener, hold, take
from tetrapylon.processes.child import Child
from tetrapylon.processes.fork import SIGNALS, spawn
from tetrapylon.telemetry.events import say

__all__ = ["TRIAL", "Handover", "Memory", "Shared", "StandIn", "become", "memory_of", "received", "try_out"]

STATE = "TETRAPYLON_HANDOVER"
TRIAL = "TETRAPYLON_TRIAL"
"""Set for a process that only finds out whether the new code can begin; its words are the apps that serve."""


class Memory(msgspec.Struct, frozen=True):
    """The memory that all processes share: what is counted, limited, and known of targets."""

    descriptors: list[int]
    """As `Slabs.descriptors` has them."""
    places: int
    """For so many workers there are slabs."""
    room: int
    """For so many routes there are counters, whose labels are in `slots`."""
    slots: int
    held: dict[int, int]
    """The slabs of the old workers, by their pids."""

    def close(self) -> None:
        for descriptor in (*self.descriptors, self.slots):
            os.close(descriptor)


class StandIn(msgspec.Struct, frozen=True):
    """A host of apps that runs on until those of its successor serve."""

    pid: int
    channel: int
    """Our end."""
    lifeline: int
    """Of the supervisor that began it."""


class Handover(msgspec.Struct, frozen=True):
    """What the old supervisor leaves."""

    listeners: list[Held]
    admin: list[Held]
    workers: list[int]
    """Pids of those that serve or drain."""
    control: list[int]
    lifeline: int
    """The end of the pipe that tells them, once it is closed, that nobody is left."""
    hosts: list[int] = []
    """Pids of those that host apps, and end after the workers."""
    memory: Memory | None = None
    stand_ins: list[StandIn] = []
    """Those of `hosts` that can be talked to, the newest first."""

    @property
    def silent_hosts(self) -> list[int]:
        return [pid for pid in self.hosts if all(pid != each.pid for each in self.stand_ins)]

    @property
    def lifelines(self) -> set[int]:
        return {self.lifeline, *(each.lifeline for each in self.stand_ins)}

    @property
    def descriptors(self) -> list[int]:
        """All that is inherited."""
        found = [*self.lifelines, *(each.channel for each in self.stand_ins)]
        found += [*(fd for held in (*self.listeners, *self.admin) for fd in held.descriptors)]
        return found + ([*self.memory.descriptors, self.memory.slots] if self.memory is not None else [])

    def sockets(self) -> list[Listener]:
        return [take(held) for held in self.listeners]

    def admin_sockets(self) -> list[Listener]:
        return [take(held) for held in self.admin]


def command() -> list[str]:
    """How this program was started."""
    return [sys.executable, *sys.orig_argv[1:]]


def try_out(apps: Iterable[str]) -> int:
    """The pid of a process that ends with status 0 if new code can begin, and these apps with it."""
    environment = {**os.environ, TRIAL: " ".join(apps)}
    return spawn(lambda: os.execve(sys.executable, command(), environment))


def become(
    listeners: Iterable[Listener],
    admin: Iterable[Listener],
    workers: Iterable[Child],
    control: Iterable[Child],
    host: Child | None,
    lifeline: int,
    memory: Memory,
    stand_ins: list[StandIn],
) -> NoReturn:
    """Runs the program anew in this process. `host` is that of apps. Raises OSError, and then nothing has
    changed."""
    hosts = [host.pid] if host is not None else []
    state = Handover(
        [hold(each) for each in listeners],
        [hold(each) for each in admin],
        [child.pid for child in workers if child.alive],
        [child.pid for child in control if child.alive],
        lifeline,
        list(dict.fromkeys([*hosts, *(each.pid for each in stand_ins)])),
        memory,
        stand_ins,
    )
    descriptors = state.descriptors
    # Until the new program handles them, signals wait.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    os.environ[STATE] = msgspec.json.encode(state).decode()
    try:
        os.execv(sys.executable, command())
    finally:
        del os.environ[STATE]
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@cache
def received() -> Handover | None:
    """What was left to this process, if it follows another."""
    state = os.environ.pop(STATE, None)
    if state is None:
        return None
    handover = msgspec.json.decode(state, type=Handover)
    for descriptor in handover.descriptors:
        os.set_inheritable(descriptor, False)
    return handover


def memory_of(slabs: Slabs, slots: int, workers: Iterable[Child]) -> Memory:
    """What `become` leaves of it."""
    held = {child.pid: child.slab.index for child in workers if child.alive and child.slab is not None}
    return Memory(list(slabs.descriptors), slabs.workers, slabs.routes, slots, held)


class Shared:
    """The memory of this supervisor: that of the one before if it fits, with its workers' slabs."""

    def __init__(
        self,
        before: Memory | None,
        goes_on: bool,
        workers: int,
        most: int,
        room: int,
        shares: Mapping[str, float],
    ) -> None:
        """`goes_on`: the counters of routes are those that `before` had. `most`: workers to have room for.
        `shares`: with which moves begin that nobody has begun."""
        self._held: dict[int, int] = {}
        slabs = None
        if before is not None:
            try:
                slabs = _taken_on(before, goes_on, workers)
                self._held = dict(before.held)
            except (ValueError, OSError) as error:
                say("warning", f"SIGUSR2: all counts begin anew: {error}")
            before.close()
        if slabs is None:
            slabs = Slabs(most, room)
            for route, share in shares.items():
                slabs.moves.set_share(route, share)
        self.slabs = slabs

    def free(self, used: Iterable[Child]) -> int:
        """The index of a slab that nobody writes to: neither these nor an old worker."""
        taken = {child.slab.index for child in used if child.slab is not None} | set(self._held.values())
        return next(index for index in range(self.slabs.workers) if index not in taken)

    def release(self, pid: int) -> None:
        """An old worker has ended: what was true of it then is so no more; what it counted stays."""
        index = self._held.pop(pid, None)
        if index is not None:
            self.slabs.slab(index).release()


def _taken_on(before: Memory, goes_on: bool, workers: int) -> Slabs:
    """Raises ValueError where it does not fit this program and its config, or OSError."""
    if not goes_on:
        raise ValueError(f"there were counters for {before.room - 1} routes, and this config asks for others")
    if workers + len(before.held) > before.places:
        raise ValueError(f"there were counters for {before.places} workers, which are not enough")
    return Slabs(before.places, before.room, before.descriptors)
