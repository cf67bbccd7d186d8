"""A worker's side of a reload: what it makes of what the supervisor says, in whatever order things end."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from tetrapylon.config.model import Config
from tetrapylon.config.wire import Encoded, encode
from tetrapylon.processes.channel import Abort, Channel, Commit, Committed, Prepare, Prepared, file_of
from tetrapylon.processes.renew import Renewals, Sockets


class Gate:
    """A gateway whose freeing of the last config takes until the test says."""

    def __init__(self) -> None:
        self.freed = asyncio.Event()
        self.prepared = 0
        self.fault: Exception | None = None

    async def prepare(self, config: Encoded) -> int:
        self.prepared += 1
        return self.prepared

    async def discard(self, edition: int) -> None: ...

    def adopt(self, edition: int, sockets: Sockets) -> Coroutine[Any, Any, None]:
        if self.fault is not None:
            raise self.fault
        return self._free()

    async def _free(self) -> None:
        await self.freed.wait()

    def upstreams(self) -> list[dict[str, Any]]:
        return []

    def found(self, upstream: str, fingerprint: bytes, targets: bytes) -> None: ...

    def purge(self, how: str, what: str) -> int:
        return 0


class Supervisor:
    """The other end of the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def prepare(self, attempt: int) -> None:
        file = file_of(encode(Config()), "config")
        assert self._channel.send(Prepare(attempt), [file])

    def say(self, message: Commit | Abort) -> None:
        assert self._channel.send(message)

    async def hears(self) -> Any:
        async with asyncio.timeout(5):
            while True:
                try:
                    heard = self._channel.receive()
                except BlockingIOError:
                    await asyncio.sleep(0.001)
                    continue
                assert heard is not None
                return heard[0]


@pytest.fixture
def channels() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = Channel.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


def started(channel: Channel, gateway: Gate) -> Renewals:
    renewals = Renewals(asyncio.get_running_loop(), channel, gateway, "worker 0")
    renewals.begin()
    renewals.serve()
    return renewals


def test_one_that_is_given_up_while_the_last_config_is_freed_keeps_none_after_it_from_coming(
    channels: tuple[Channel, Channel],
) -> None:
    async def run() -> None:
        supervisor, gateway = Supervisor(channels[0]), Gate()
        started(channels[1], gateway)
        supervisor.prepare(1)
        assert await supervisor.hears() == Prepared(1)
        supervisor.say(Commit(1))
        assert await supervisor.hears() == Committed(1)
        supervisor.prepare(2)
        supervisor.say(Abort(2))
        await asyncio.sleep(0.01)
        gateway.freed.set()
        supervisor.prepare(3)
        assert await supervisor.hears() == Prepared(3)
        asyncio.get_running_loop().remove_reader(channels[1].fileno())

    asyncio.run(run())


def test_a_worker_that_cannot_take_a_config_on_gives_way_to_another(
    channels: tuple[Channel, Channel], capfd: pytest.CaptureFixture[str]
) -> None:
    async def run() -> None:
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, told.set)
        supervisor, gateway = Supervisor(channels[0]), Gate()
        started(channels[1], gateway)
        supervisor.prepare(1)
        assert await supervisor.hears() == Prepared(1)
        gateway.fault = RuntimeError("no way to close it")
        supervisor.say(Commit(1))
        async with asyncio.timeout(5):
            await told.wait()
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_reader(channels[1].fileno())

    asyncio.run(run())
    said = capfd.readouterr().err
    assert "no way to close it" in said
    assert "could not take the config on that is in force now: draining for its successor" in said
