"""What the gateway's processes take of the machine, by the names of Prometheus' own clients (leaf)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from tetrapylon.admin.text import Format, Kind, join_labels

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

FAMILIES: tuple[tuple[str, str, Kind, str], ...] = (
    ("cpu", "process_cpu_seconds_total", "counter", "Processor time of each process, user and system."),
    ("resident", "process_resident_memory_bytes", "gauge", "Resident memory of each, shared parts included."),
    ("files", "process_open_fds", "gauge", "Descriptors that each process has open."),
    ("most_files", "process_max_fds", "gauge", "Descriptors that each process may have open."),
    ("started", "process_start_time_seconds", "gauge", "When each process began, since the epoch."),
)


class Taken(NamedTuple):
    """What one process takes: seconds and bytes."""

    cpu: float
    resident: int
    files: int
    most_files: int | str
    started: float


def families(form: Format, processes: Iterable[tuple[str, int]]) -> Iterator[str]:
    """`processes`: names and pids. One that has gone, or may not be looked at, is left out."""
    booted = _booted()
    taken: dict[str, Taken] = {}
    for name, pid in processes:
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            taken[join_labels([("process", name)])] = look(pid, booted)
    for key, name, kind, text in FAMILIES:
        yield form.head(name, kind, text)
        write = form.counter if kind == "counter" else form.gauge
        for labels, each in taken.items():
            yield write(name, labels, getattr(each, key))


def look(pid: int, booted: float) -> Taken:
    """As proc(5) has it; `booted` is when the machine began, since the epoch.

    Raises FileNotFoundError or ProcessLookupError where there is no such process, PermissionError where it is
    another's.
    """
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()  # the name before it may hold anything
    user, system, started, pages = (int(fields[at]) for at in (11, 12, 19, 21))
    return Taken(
        cpu=(user + system) / TICKS,
        resident=pages * PAGE,
        files=len(os.listdir(f"/proc/{pid}/fd")),
        most_files=_most_files(pid),
        started=round(booted + started / TICKS, 2),
    )


def _most_files(pid: int) -> int | str:
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        soft = next(line for line in file if line.startswith("Max open files")).split()[3]
    return int(soft) if soft.isdigit() else "+Inf"


def _booted() -> float:
    with open("/proc/stat", encoding="ascii") as file:
        return float(next(line for line in file if line.startswith("btime ")).split()[1])
