"""From a config to what the supervisor needs of it.

A config is read and checked in a short-lived child, so that the readers' memory (PyYAML and friends) is gone
with it. At the start this process imports, while the child is at work, what its children will share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from tetrapylon.errors import ConfigError, TetrapylonError
from tetrapylon.processes.channel import content_of, file_of
from tetrapylon.processes.fork import EXIT_FAILED, Context, Timing, describe_end, spawn
from tetrapylon.processes.handover import received
from tetrapylon.processes.reading import Facts, Finding, Paper, Reader, Sought, overflow_told, read_finding
from tetrapylon.telemetry.events import line, say

Main = Callable[[Context], int]
# Listeners, logs, pipes, the loop's own.
SPARE_DESCRIPTORS = 64
BEHIND = 10
"""By so much nicer is who reads a config again: those who serve come first where processors are scarce."""
FIXED = ("admin", "metrics")
"""Settings that a reload does not change."""


class Plan(NamedTuple):
    """What the supervisor runs."""

    facts: Facts
    worker: Main
    control: Main | None
    """It runs where there is something for it to do."""
    config: int
    """The file of the config, encoded."""
    slots: int
    """The table of slots."""
    read: Reader | None = None
    """Reads the config again, in a child of its own; None where there is nothing to read."""
    source: str = ""
    goes_on: bool = False
    """`slots` continues the table of the supervisor before."""
    shares: Mapping[str, float] = {}
    """With which moves begin, where their memory does."""
    host: Main | None = None
    """Hosts the apps, where there are some."""
    watch: Main | None = None
    """Orders a reload when the config's files change."""
    timing: Timing = Timing()


class Source(NamedTuple):
    """Where a config comes from, with what the command line puts in its place."""

    name: str
    """A path or `module:attribute`."""
    listen: Sequence[str] = ()
    workers: int | None = None
    values: Mapping[str, Any] | None = None
    """The config itself, where the command line is one; `name` is what it is called."""


class ConfigRefused(TetrapylonError):
    """The child that read the config has said why it cannot be served; `status` is the exit status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__("the config cannot be served")


def load_plan(source: Source) -> Plan:
    """Reads a config and plans for it. Raises ConfigRefused when that was said on standard error."""
    from tetrapylon.processes.slots import new_table

    table = new_table()
    paper = Paper(file_of(b"", "config"), file_of(b"", "finding"), table)
    pid = spawn(partial(_begin, source, paper))
    # What the children share, imported while the config is read; with what compiling it needs.
    import ipaddress  # noqa: F401
    import urllib.parse  # noqa: F401

    from tetrapylon import catalog, serving, worker, works  # noqa: F401
    from tetrapylon._core.telemetry.counters import set_bounds
    from tetrapylon.config.wire import Encoded
    from tetrapylon.telemetry import logs, misfit

    worker.rehearse()
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        line(f"tetrapylon: the process reading {source.name} {describe_end(status)}")
        raise ConfigRefused(EXIT_FAILED)
    if status:
        raise ConfigRefused(os.waitstatus_to_exitcode(status))
    finding = read_finding(paper.finding)
    facts = finding.facts
    os.close(paper.finding)
    assert facts is not None
    encoded = Encoded(content_of(paper.config))
    logs.tell(encoded.head.log.errors)
    if finding.overflow:
        say("warning", overflow_told(finding.overflow))
    metrics = encoded.head.metrics
    set_bounds(metrics.duration_bounds, metrics.gateway_bounds)
    misfit.tell()
    for use in encoded.policies():
        if ":" not in use:  # the user's own Python is imported in each worker
            catalog.policy(use)
    return Plan(
        facts=facts,
        # TLS contexts are made before the workers are, which so have the keys of session tickets in common.
        worker=partial(worker.main, works.fronts(encoded.head.server.listen)),
        control=_control,
        config=paper.config,
        slots=table,
        host=_host,
        read=partial(read_again, source),
        source=source.name,
        goes_on=finding.goes_on,
        shares=finding.shares,
    )


def _control(context: Context) -> int:
    """Imported where it runs: no other process has a use for it."""
    from tetrapylon import control

    return control.main(context)


def _host(context: Context) -> int:
    """As `_control`."""
    from tetrapylon.apps import host

    return host.main(context)


def _begin(source: Source, paper: Paper) -> int:
    """Reads the first config. Raises ConfigError."""
    from tetrapylon.processes.slots import go_on

    config = _load(source)
    before = received()
    memory = before.memory if before is not None else None
    goes_on = memory is not None and go_on(paper.slots, memory.slots, config, memory.room)
    room = memory.room if memory is not None and goes_on else 0
    _write(config, paper._replace(room=room), Finding(goes_on=goes_on, shares=_shares(config)))
    return 0


def _shares(config: Any) -> dict[str, float]:
    """Read here, so that the first request is dealt by them: the control process comes later."""
    routes = [route for route in config.routes if route.move is not None]
    if not routes:
        return {}
    from tetrapylon.destinations.moves import slot_of
    from tetrapylon.moving.file import recorded

    kept = recorded(config.diff.moves)
    return {
        slot_of(route.title, move.to): move.share
        for route in routes
        for move in [kept.get(route.title)]
        if move is not None and move.to == route.moves_to
    }


def read_again(source: Source, paper: Paper) -> int:
    """Reads the config while another is in force. Problems are part of what is found."""
    from tetrapylon.config import decode
    from tetrapylon.config.diff import differences

    os.nice(BEHIND)
    running = content_of(paper.running)
    before = decode(running)
    try:
        config = decode(content_of(paper.back)) if paper.back >= 0 else _load(source, before)
    except ConfigError as error:
        problems = [describe(problem) for problem in error.problems]
        finding = Finding(problems=problems, sought=Sought(error.files, error.patterns))
        os.pwrite(paper.finding, msgspec.msgpack.encode(finding), 0)
        return 0
    changes = differences(before, config)
    restart = [key for key in FIXED if getattr(before, key) != getattr(config, key)]
    _write(config, paper, Finding(changes=changes, restart=restart), running)
    return 0


def describe(problem: Any) -> dict[str, Any]:
    """A Problem for JSON."""
    names = ("file", "line", "column", "path", "message", "hint")
    found = {name: getattr(problem, name) for name in names}
    return {**{name: value for name, value in found.items() if value}, "text": str(problem)}


def _load(source: Source, before: Any = None) -> Any:
    """Raises ConfigError. `before` is the config in force."""
    from tetrapylon.config import override
    from tetrapylon.config.loading import from_values, load_document
    from tetrapylon.telemetry import logs
    from tetrapylon.upstreams.resolve import check_names

    if source.values is not None:
        config, document = from_values(source.values, source.name)
    else:
        config, document = load_document(source.name)
    with document.named():
        logs.check(config, document, before)
        config = override(config, listen=source.listen, workers=source.workers)
        check_names(config, document, before)
    return config


def _write(config: Any, paper: Paper, finding: Finding, running: bytes | None = None) -> None:
    from tetrapylon.config import encode
    from tetrapylon.processes.slots import assign, dropped, room_for

    room = paper.room or room_for(config)
    slots = assign(paper.slots, config, room)
    encoded = encode(config, slots)
    finding = msgspec.structs.replace(
        finding,
        facts=_facts(config, room),
        sought=Sought(config.files, config.patterns),
        same=encoded == running,
        overflow=dropped(slots),
    )
    for file, data in ((paper.config, encoded), (paper.finding, msgspec.msgpack.encode(finding))):
        with open(file, "wb", closefd=False) as out:
            out.write(data)


def _facts(config: Any, room: int) -> Facts:
    from tetrapylon.config.net import listener_keys

    server = config.server
    keys = listener_keys(listener.address for listener in server.listen)
    return Facts(
        listen=keys,
        tls=[key for key, listener in zip(keys, server.listen, strict=True) if listener.tls is not None],
        admin=config.admin.listen if config.admin is not None else None,
        admin_tls=config.admin is not None and config.admin.tls is not None,
        workers=len(os.sched_getaffinity(0)) if server.workers == "auto" else server.workers,
        room=room,
        follows=any(upstream.discover is not None for upstream in config.upstreams.values())
        or any(route.shadow is not None or route.move is not None for route in config.routes),
        apps=list(config.apps),
        errors=config.log.errors,
        drain=server.timeouts.drain,
        shutdown_delay=server.timeouts.shutdown_delay,
        descriptors=server.limits.connections
        + sum(upstream.pool.max_connections for upstream in config.upstreams.values())
        + SPARE_DESCRIPTORS,
    )
