"""The processes of the supervisor before, which serve on until the new ones do."""

from __future__ import annotations

import signal
from collections.abc import Iterable

from tetrapylon.processes.fork import send_signal
from tetrapylon.telemetry.events import say

__all__ = ["Predecessors"]


class Predecessors:
    """Truthy while there are some. Times are CLOCK_MONOTONIC seconds, given by the caller."""

    def __init__(self, workers: Iterable[int] = (), hosts: Iterable[int] = ()) -> None:
        """Pids; `hosts` run the apps that the workers may have requests for."""
        self._due: dict[int, float | None] = dict.fromkeys([*workers, *hosts])
        """Once they drain, with the time they are killed at."""
        self._hosts = frozenset(hosts)

    def __bool__(self) -> bool:
        return bool(self._due)

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self._due.keys() - self._hosts)

    def end(self, order: int, due: float | None) -> None:
        """They are killed when it is `due`."""
        for pid in self._due:
            self._due[pid] = due
        self.signal(order)
        self._end_hosts()

    def signal(self, number: int) -> None:
        for pid in self._due:
            send_signal(pid, number)

    def reaped(self, pid: int) -> bool:
        """Whether it was one of them."""
        if pid not in self._due:
            return False
        del self._due[pid]
        self._end_hosts()
        return True

    def look(self, now: float) -> None:
        for pid, due in self._due.items():
            if due is not None and now >= due:
                say("warning", f"{self._name(pid)} (pid {pid}) has not ended in time; killing it")
                send_signal(pid, signal.SIGKILL)

    def _name(self, pid: int) -> str:
        return "old host of apps" if pid in self._hosts else "old worker"

    def _end_hosts(self) -> None:
        """Once no worker has a request for their apps."""
        if self._due.keys() <= self._hosts:
            for pid in self._due:
                send_signal(pid, signal.SIGQUIT)
