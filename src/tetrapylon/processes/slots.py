"""Which counters belong to which route: a table of labels in memory that all processes share.

A line of the table is the labels of one slot, in order; lines are added and never changed, so that a route
keeps its counters through every reload, and finds them again when it comes back. One process writes at a
time: the one that reads a config.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from tetrapylon.config.model import Config, Route
from tetrapylon.processes.channel import content_of, file_of

__all__ = ["OVERFLOW", "Labels", "Table", "assign", "go_on", "labels_of", "new_table", "room_for"]

Labels = dict[str, str]
ROOM = 65536
OVERFLOW: Labels = {"http_route": "other", "otel_metric_overflow": "true"}
"""The labels of the first slot: of all routes that found the table full. The second is OpenTelemetry's name
for that, and tells it from a route of the first one's name."""

_decode = msgspec.json.Decoder(Labels).decode


def room_for(config: Config) -> int:
    """How many slots to make room for, the overflow's too. Those that are never used cost nothing."""
    most = config.metrics.max_routes
    return max(ROOM, 4 * len(config.routes)) if most is None else most + 1


def new_table() -> int:
    """The descriptor of a table that has the overflow's slot alone, its first line."""
    return file_of(_line(OVERFLOW), "slots")


def go_on(table: int, before: int, config: Config, room: int) -> bool:
    """Fills a new table with what another has, if its `room` is what the config asks for, and enough."""
    most = config.metrics.max_routes
    if room < max(ROOM, len(config.routes) + 1) if most is None else room != most + 1:
        return False
    _append(table, content_of(before), 0)
    return True


class Table:
    """The labels of each slot for whoever asks often: what was read once is not read again."""

    def __init__(self, table: int) -> None:
        self._table = table
        self._labels: list[Labels] = []
        self._at = 0

    def __call__(self) -> list[Labels]:
        """Lines are added and never changed. One that is being written is left for the next time."""
        size = os.fstat(self._table).st_size
        while self._at < size:
            whole, newline, _ = os.pread(self._table, size - self._at, self._at).rpartition(b"\n")
            if not newline:
                break
            self._labels.extend(map(_decode, whole.split(b"\n")))
            self._at += len(whole) + 1
        return self._labels


def assign(table: int, config: Config, room: int) -> list[int]:
    """The slot of each route, new ones added to the table while it has less than `room`."""
    lines = content_of(table).splitlines(keepends=True)
    known = {line: slot for slot, line in enumerate(lines)}
    size = sum(map(len, lines))
    added = []
    slots = []
    for route in config.routes:
        line = _line(labels_of(route))
        slot = known.get(line)
        if slot is None:
            slot = len(known) if len(known) < room else 0
            if slot:
                known[line] = slot
                added.append(line)
        slots.append(slot)
    _append(table, b"".join(added), size)
    return slots


def labels_of(route: Route) -> Labels:
    """The labels of a route's series: its template or name, and what else tells it from its neighbours."""
    labels = {"http_route": route.name or route.path}
    if route.methods:
        labels["tetrapylon_route_methods"] = ",".join(route.methods)
    if route.host is not None:
        labels["server_address"] = route.host
    return labels


def _line(labels: Labels) -> bytes:
    return msgspec.json.encode(labels) + b"\n"


def _append(table: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(table, data, at)
        at += written
        data = data[written:]


def dropped(slots: Sequence[int]) -> int:
    """How many routes share the overflow's slot."""
    return sum(slot == 0 for slot in slots)
