"""New code in place of old: this process becomes a new supervisor, which inherits sockets and old workers.

The process stays the same to whoever watches it, so it stays the parent of the old workers too. They serve on
until the new ones do, and then drain.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from typing import NoReturn

import msgspec

from tetrapylon.process import SIGNALS
from tetrapylon.sockets import Held, Listener, hold, take

__all__ = ["TRIAL", "Handover", "become", "received"]

STATE = "TETRAPYLON_HANDOVER"
TRIAL = "TETRAPYLON_TRIAL"
"""Set for a process that only finds out whether the new code can begin."""


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

    def sockets(self) -> list[Listener]:
        return [take(held) for held in self.listeners]

    def admin_sockets(self) -> list[Listener]:
        return [take(held) for held in self.admin]


def command() -> list[str]:
    """How this program was started."""
    return [sys.executable, *sys.orig_argv[1:]]


def become(
    listeners: Iterable[Listener],
    admin: Iterable[Listener],
    workers: list[int],
    control: list[int],
    lifeline: int,
    hosts: list[int],
) -> NoReturn:
    """Runs the program anew in this process. Raises OSError, and then nothing has changed."""
    state = Handover(
        [hold(each) for each in listeners], [hold(each) for each in admin], workers, control, lifeline, hosts
    )
    descriptors = [lifeline, *(fd for held in (*state.listeners, *state.admin) for fd in held.descriptors)]
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


def received() -> Handover | None:
    """What was left to this process, if it follows another; once."""
    state = os.environ.pop(STATE, None)
    if state is None:
        return None
    handover = msgspec.json.decode(state, type=Handover)
    for held in (*handover.listeners, *handover.admin):
        for descriptor in held.descriptors:
            os.set_inheritable(descriptor, False)
    os.set_inheritable(handover.lifeline, False)
    return handover
