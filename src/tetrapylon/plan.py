"""From a config to what the supervisor needs of it.

The config is read and checked in a short-lived child, so that the readers' memory (PyYAML and friends) is
gone with it, and while it is at work this process imports what its children will share.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from tetrapylon.errors import TetrapylonError
from tetrapylon.events import line
from tetrapylon.process import EXIT_FAILED, Context, Timing, describe_end, spawn

Main = Callable[[Context], int]
# Listeners, logs, pipes, the loop's own.
SPARE_DESCRIPTORS = 64


class Plan(NamedTuple):
    """What the supervisor needs to know of a config."""

    listen: list[str]
    admin: str | None
    workers: int
    routes: int
    drain: float
    """Seconds that exchanges in flight are given to finish."""
    worker: Main
    control: Main | None
    """None when there is nothing for it to do."""
    timing: Timing = Timing()
    tls: frozenset[int] = frozenset()
    """Which of `listen` speak TLS."""
    descriptors: int = 0
    """How many a worker may come to need."""


class ConfigRefused(TetrapylonError):
    """The child that read the config has said why it cannot be served; `status` is the exit status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__("the config cannot be served")


def load_plan(source: str, *, listen: list[str], workers: int | None) -> Plan:
    """Reads a config and plans for it. Raises ConfigRefused when that was said on standard error."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = spawn(partial(_read_config, source, listen, workers, reader, writer))
    os.close(writer)
    # What the children share, imported while the config is read; with what compiling it needs.
    import ipaddress  # noqa: F401
    import urllib.parse  # noqa: F401

    from tetrapylon import catalog, compile, control, misfit, worker
    from tetrapylon.config import decode

    with open(reader, "rb") as pipe:
        encoded = pipe.read()
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        line(f"tetrapylon: the process reading {source} {describe_end(status)}")
        raise ConfigRefused(EXIT_FAILED)
    if status:
        raise ConfigRefused(os.waitstatus_to_exitcode(status))
    misfit.tell()
    config = decode(encoded)
    for policies in (config.policies, *(route.policies for route in config.routes)):
        for each in policies:
            catalog.policy(each.use)
    server = config.server
    # Made before the workers are, which so have the keys of session tickets in common.
    fronts = compile.fronts(config)
    return Plan(
        listen=[listener.address for listener in server.listen],
        admin=config.admin.listen if config.admin is not None else None,
        workers=len(os.sched_getaffinity(0)) if server.workers == "auto" else server.workers,
        routes=len(config.routes),
        drain=server.timeouts.drain,
        worker=partial(worker.main, encoded, fronts),
        control=partial(control.main, encoded) if config.admin is not None else None,
        descriptors=server.limits.connections
        + sum(upstream.pool.max_connections for upstream in config.upstreams.values())
        + SPARE_DESCRIPTORS,
        tls=frozenset(i for i, listener in enumerate(server.listen) if listener.tls is not None),
    )


def _read_config(source: str, listen: list[str], workers: int | None, reader: int, writer: int) -> int:
    os.close(reader)
    from tetrapylon.config import encode, load, override
    from tetrapylon.resolve import check_names

    config = override(load(source), listen=listen, workers=workers)
    check_names(config, source)
    encoded = encode(config)
    with open(writer, "wb") as pipe:
        pipe.write(encoded)
    return 0
