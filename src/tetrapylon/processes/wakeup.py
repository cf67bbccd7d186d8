"""How signals and other processes wake one that waits in poll(2) (standard library alone)."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from contextlib import suppress
from types import FrameType

from tetrapylon.processes.fork import SIGNALS

__all__ = ["Pipe", "handle_signals", "readable"]


class Pipe:
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


def handle_signals(wakeup: int, numbers: Iterable[int] = SIGNALS) -> None:
    """Each signal's number becomes a byte in the pipe."""

    def note(number: int, frame: FrameType | None) -> None:
        pass

    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, note)


def readable(descriptors: Iterable[int], seconds: float) -> set[int]:
    """Sleeps so long at most; those that can be read, or whose other end has gone."""
    poll = select.poll()
    for each in descriptors:
        poll.register(each, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
