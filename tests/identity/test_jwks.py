"""Published keys: when they are fetched, with a clock and a publisher that the test holds."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tetrapylon.identity.jwks import Published


class Publisher:
    def __init__(self) -> None:
        self.fetches = 0
        self.answer: bytes | Exception = b"keys"
        self.taken: list[bytes] = []
        self.now = 100.0
        self.gate = asyncio.Event()
        self.gate.set()
        self.told: list[int] = []

    async def fetch(self) -> bytes:
        self.fetches += 1
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def take(self, data: bytes) -> None:
        if data == b"rubbish":
            raise ValueError("no keys")
        self.taken.append(data)


Check = Callable[[Publisher, Published], Awaitable[None]]


def run(check: Check) -> None:
    async def main() -> None:
        publisher = Publisher()
        published = Published(
            "keys",
            publisher.fetch,
            publisher.take,
            loop=asyncio.get_running_loop(),
            cooldown=10,
            refresh=3600,
            clock=lambda: publisher.now,
        )
        try:
            await check(publisher, published)
        finally:
            published.close()

    asyncio.run(main())


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def first(publisher: Publisher, published: Published) -> None:
    published.start()
    await asyncio.sleep(0.01)
    await turns()
    assert (publisher.fetches, publisher.taken, published.ready) == (1, [b"keys"], True)


def test_they_are_fetched_at_the_start() -> None:
    run(first)


def test_an_unknown_key_has_them_fetched_once_per_cooldown() -> None:
    async def check(publisher: Publisher, published: Published) -> None:
        await first(publisher, published)
        assert not published.ask(lambda: publisher.told.append(0))
        publisher.now += 9.9
        assert not published.ask(lambda: publisher.told.append(0))
        publisher.now += 0.2
        publisher.gate.clear()
        for i in range(3):
            assert published.ask(lambda i=i: publisher.told.append(i))  # type: ignore[misc]
        await turns()
        assert (publisher.fetches, publisher.told) == (2, [])
        publisher.gate.set()
        await turns()
        assert (publisher.fetches, publisher.told) == (2, [0, 1, 2])
        assert not published.ask(lambda: publisher.told.append(9))

    run(check)


@pytest.mark.parametrize("answer", [OSError("away"), b"rubbish"])
def test_what_cannot_be_fetched_leaves_the_old_ones(
    answer: bytes | Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    async def check(publisher: Publisher, published: Published) -> None:
        await first(publisher, published)
        publisher.answer = answer
        for _ in range(2):
            publisher.now += 11
            assert published.ask(lambda: publisher.told.append(1))
            await turns()
        assert published.ready
        assert publisher.taken == [b"keys"]
        assert publisher.told == [1, 1]

    run(check)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "the keys fetched before stay in use" in lines[0]


def test_without_any_the_next_fetch_is_soon() -> None:
    async def check(publisher: Publisher, published: Published) -> None:
        publisher.answer = OSError("away")
        assert published.ask(lambda: publisher.told.append(1))
        await turns()
        assert (published.ready, publisher.told) == (False, [1])
        publisher.now += 0.5
        assert not published.ask(lambda: None)
        publisher.now += 0.6
        publisher.answer = b"keys"
        assert published.ask(lambda: publisher.told.append(2))
        await turns()
        assert (published.ready, publisher.told) == (True, [1, 2])

    run(check)


def test_after_the_end_nothing_is_fetched() -> None:
    async def check(publisher: Publisher, published: Published) -> None:
        published.close()
        assert not published.ask(lambda: None)
        await turns()
        assert publisher.fetches == 0

    run(check)
