"""A gateway that takes on one config after the other, in one process: what it frees, keeps and lets run."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from tetrapylon import catalog, compile
from tetrapylon._core.policy import Policy
from tetrapylon._core.telemetry.counters import Slabs
from tetrapylon.config import Encoded, encode
from tetrapylon.config.model import Config, PolicyUse, Respond, Route, Target, Upstream
from tetrapylon.serving import Serving

alive: weakref.WeakSet[Watched] = weakref.WeakSet()


class Watched(Policy):
    """A policy whose end can be seen: it goes when its route's plan does, or later."""

    def __init__(self, settings: object) -> None:
        alive.add(self)


class Fails(Policy):
    def __init__(self, settings: object) -> None:
        raise ValueError("cannot be built")


@pytest.fixture(autouse=True)
def policies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(catalog, "policy", {"watched": Watched, "fails": Fails}.__getitem__)
    monkeypatch.setattr(compile, "convert", lambda settings, kind: settings)
    Watched.Settings = Fails.Settings = object  # type: ignore[attr-defined]
    yield
    assert gc.isenabled()
    gc.unfreeze()


def config(
    routes: int, *, first: int = 0, use: str = "watched", upstream: str = "http://127.0.0.1:9"
) -> Encoded:
    return Encoded(
        encode(
            Config(
                upstreams={"backend": Upstream(targets=(Target(url=upstream),))},
                routes=tuple(
                    Route(path=f"/r{index}", respond=Respond(), policies=(PolicyUse(use=use),))
                    for index in range(first, first + routes)
                ),
            )
        )
    )


Given = tuple[Serving, asyncio.AbstractEventLoop]


def with_serving(
    encoded: Encoded, work: Callable[[Serving, asyncio.AbstractEventLoop], Coroutine[Any, Any, None]]
) -> None:
    loop = uvloop.new_event_loop()
    try:
        serving = Serving(encoded, loop, Slabs(1, 20_000).slab(0))
        try:
            loop.run_until_complete(work(serving, loop))
        finally:
            serving.close()
    finally:
        loop.close()


async def take(serving: Serving, encoded: Encoded) -> None:
    await serving.adopt(await serving.prepare(encoded), [])


def test_the_last_config_is_freed_to_the_last_route_without_the_collector() -> None:
    async def work(serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        assert len(alive) == 300
        for _ in range(3):
            await take(serving, config(200))
            assert len(alive) == 200

    with_serving(config(300), work)
    assert len(alive) == 0


def test_what_a_policy_has_to_close_is_closed_with_its_route(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    class Closing(Policy):
        Settings = object

        @staticmethod
        def build(settings: object, scope: compile.Scope) -> Closing:
            policy = Closing()
            scope.closing.append(policy)
            return policy

        def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(catalog, "policy", lambda name: Closing)

    async def work(serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        await take(serving, config(3))
        await asyncio.sleep(0)
        assert len(closed) == 2

    with_serving(config(2), work)
    assert len(closed) == 5


def test_one_that_is_discarded_is_freed() -> None:
    async def work(serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        edition = await serving.prepare(config(200))
        assert len(alive) == 210
        await serving.discard(edition)
        del edition
        assert len(alive) == 10

    with_serving(config(10), work)


def test_one_that_fails_is_freed_and_changes_nothing() -> None:
    async def work(serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        with pytest.raises(ValueError, match="cannot be built"):
            await serving.prepare(config(200, use="fails"))
        assert len(alive) == 10
        await take(serving, config(5))
        assert len(alive) == 5

    with_serving(config(10), work)


def test_one_that_is_given_up_half_way_is_freed() -> None:
    async def work(serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        task = loop.create_task(take(serving, config(10_000)))
        while len(alive) < 500:  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        del task
        await asyncio.sleep(0)  # the loop holds what it has cancelled for one more turn
        gc.collect()  # and its traceback is a cycle
        assert len(alive) == 10

    with_serving(config(10), work)


def test_upstreams_are_the_same_object_while_their_settings_are_the_same() -> None:
    async def work(serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        before = serving.upstreams()
        kept = serving._edition.kept.upstreams["backend"]
        await take(serving, config(2))
        assert serving._edition.kept.upstreams["backend"] is kept
        await take(serving, config(2, upstream="http://127.0.0.1:10"))
        assert serving._edition.kept.upstreams["backend"] is not kept
        assert serving.upstreams() != before

    with_serving(config(1), work)


def test_the_loop_has_its_turns_all_the_while() -> None:
    """How long a turn takes depends on the machine; that there are many, and none takes it all, does not."""
    turns: list[float] = []

    async def work(serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        task = loop.create_task(take(serving, config(10_000, first=5)))
        while not task.done():
            began = time.perf_counter()
            await asyncio.sleep(0)
            turns.append(time.perf_counter() - began)
        await task

    with_serving(config(10_000), work)
    assert len(turns) > 100
    assert max(turns) < sum(turns) / 4
