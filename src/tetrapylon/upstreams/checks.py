"""Active health checks: one worker, elected on the board, makes them for all."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import httptools

from tetrapylon.upstreams.make import tell

if TYPE_CHECKING:
    from tetrapylon._core.shared.board import Board
    from tetrapylon._core.upstreams.target import Target
    from tetrapylon._core.upstreams.upstream import Upstream
    from tetrapylon.config.model import ActiveHealth

__all__ = ["Checker"]

LEAD = 1.0
"""Seconds between two tries to be, or to stay, the one that checks."""
LOOK = 0.25
"""Seconds after which a change of the targets, or of who checks, is seen at the latest."""
BODY = 64 * 1024
JITTER = 0.1
AT_ONCE = 32


class Checker:
    """Checks the targets of one upstream, while its process is the one that does."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, board: Board, upstream: Upstream, rules: ActiveHealth
    ) -> None:
        self._loop = loop
        self._board = board
        self._leading = False
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks = [loop.create_task(self._lead()), loop.create_task(self._watch(upstream, rules))]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._leading:
            self._board.resign(os.getpid())

    async def _lead(self) -> None:
        while True:
            self._leading = self._board.lead(os.getpid())
            await asyncio.sleep(LEAD)

    async def _watch(self, upstream: Upstream, rules: ActiveHealth) -> None:
        """Each target has its own time, so that checks spread over the interval."""
        due: dict[Target, float] = {}
        rows: dict[Target, int] = {}
        busy: set[asyncio.Task[None]] = set()
        while True:
            now = self._loop.time()
            if not self._leading:
                rows.clear()  # another checks meanwhile: what was a row here is none
            targets = upstream.targets
            for gone in due.keys() - set(targets):
                del due[gone]
                rows.pop(gone, None)
            for target in targets:
                if not self._leading or now < due.setdefault(target, now):
                    continue
                due[target] = now + rules.interval * random.uniform(1 - JITTER, 1)
                task = self._loop.create_task(self._check(upstream, target, rules, rows))
                busy.add(task)
                task.add_done_callback(busy.discard)
            ahead = min(due.values(), default=now + LOOK) - now if self._leading else LOOK
            await asyncio.sleep(min(max(ahead, 0.0), LOOK))

    async def _check(
        self, upstream: Upstream, target: Target, rules: ActiveHealth, rows: dict[Target, int]
    ) -> None:
        """`rows`: passed checks in a row, failed ones as a negative number."""
        async with self._places:
            fault = await probe(target, rules)
        name = target.name
        self._board.check(upstream.name, name, not fault)
        row = rows.get(target, 0)
        rows[target] = row = (max(row, 0) + 1) if not fault else (min(row, 0) - 1)
        if row >= rules.healthy and self._board.mark(upstream.name, name, True):
            tell(upstream.name, name, "is healthy", f"{rules.healthy} checks passed")
        elif row <= -rules.unhealthy and self._board.mark(upstream.name, name, False):
            tell(upstream.name, name, "is unhealthy", fault)


async def probe(target: Target, rules: ActiveHealth) -> str:
    """One check. "" when it passes, else what is wrong."""
    if not target.addresses:
        return "its name does not resolve"
    try:
        async with asyncio.timeout(rules.timeout):
            return await _probe(target, rules)
    except TimeoutError:
        return f"no answer to a check within {rules.timeout:g} s"
    except (OSError, httptools.HttpParserError) as error:
        return f"a check failed: {error}"


async def _probe(target: Target, rules: ActiveHealth) -> str:
    where = random.choice(target.addresses).text
    context = target.tls.context if target.tls is not None else None
    if where.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(where.removeprefix("unix:"))
    else:
        host, _, port = where.rpartition(":")
        name = target.tls.server_name if target.tls is not None else None
        reader, writer = await asyncio.open_connection(
            host.strip("[]"), int(port), ssl=context, server_hostname=name
        )
    try:
        if rules.path is None:
            return ""
        authority = rules.host or ("localhost" if where.startswith("unix:") else target.name)
        writer.write(
            f"GET {rules.path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: tetrapylon-check\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        return await _judge(reader, rules)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _judge(reader: asyncio.StreamReader, rules: ActiveHealth) -> str:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    while not answer.complete and len(answer.body) < BODY:
        data = await reader.read(BODY)
        if not data:
            break
        parser.feed_data(data)
        if answer.headed and rules.body is None:
            break
    if not answer.headed:
        return "a check was not answered"
    status = parser.get_status_code()
    if status not in rules.status if rules.status else not 200 <= status < 400:
        return f"a check was answered with {status}"
    if rules.body is not None and rules.body.encode() not in answer.body:
        return f"the answer to a check does not hold {rules.body!r}"
    return ""


class _Answer:
    def __init__(self) -> None:
        self.body = bytearray()
        self.headed = False
        self.complete = False

    def on_headers_complete(self) -> None:
        self.headed = True

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True
