"""GETs at a constant rate, from a process of its own: when each fell due, how long it took, what came of it.

An open loop: a request falls due whatever became of those before, and its time counts from then, so that a
stall is charged to every request it delayed. `python -m tests.faults.traffic` is the process.
"""

import array
import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from pathlib import Path
from typing import NamedTuple, cast

import httptools
import uvloop

from tests.harness import net
from tests.harness.wait import eventually

ROOT = Path(__file__).resolve().parents[2]
GIVE_UP = 5.0
"""Seconds after which a request counts as never answered."""
CONNECTIONS = 1024
POLL = 0.01


class Answer(NamedTuple):
    due: float
    """CLOCK_MONOTONIC seconds."""
    took: float
    status: int
    """0: none came."""

    @property
    def failed(self) -> bool:
        """As a client sees it: no answer, 5xx, or slower than a second."""
        return not 200 <= self.status < 500 or self.took > 1.0


class Answers(list[Answer]):
    @property
    def failures(self) -> list[Answer]:
        return [each for each in self if each.failed]

    @property
    def statuses(self) -> Counter[int]:
        return Counter(each.status for each in self)

    def between(self, begin: float, end: float) -> "Answers":
        """Those that fell due then."""
        return Answers(each for each in self if begin <= each.due < end)

    def quantile(self, share: float) -> float:
        """Seconds; what was not answered took as long as it was waited for."""
        times = sorted(each.took for each in self)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0

    def slices(self, seconds: float) -> list["Answers"]:
        """One after the other, from the first on."""
        found: list[Answers] = []
        for each in self:
            at = int((each.due - self[0].due) / seconds)
            while len(found) <= at:
                found.append(Answers())
            found[at].append(each)
        return found


class Traffic:
    """Requests that run until `stop`, which returns what became of them."""

    def __init__(self, address: str, rate: float, path: str = "/") -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="traffic-")  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.faults.traffic",
                address,
                str(rate),
                path,
                self._file.name,
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "begun\n"
        self.lag = 0.0
        """After `stop`: by how many seconds the generator was late at most: the machine's other work."""

    def run(self, seconds: float) -> float:
        """Lets it run on for so long; gives the time after that."""
        end = time.monotonic() + seconds
        eventually(lambda: time.monotonic() >= end, "time goes by", within=seconds + 1)
        return end

    def stop(self) -> Answers:
        said, _ = self._process.communicate()
        assert self._process.returncode == 0
        self.lag = float(said)
        numbers = array.array("d")
        numbers.frombytes(Path(self._file.name).read_bytes())
        self._file.close()
        found = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
        return Answers(sorted(Answer(due, took, int(status)) for due, took, status in found))

    def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()
            self._file.close()

    def __enter__(self) -> "Traffic":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# The process


class Sender:
    def __init__(self, loop: asyncio.AbstractEventLoop, address: str, rate: float, request: bytes) -> None:
        self.loop = loop
        self.request = request
        self.results = array.array("d")
        self.waiting: deque[float] = deque()
        self.idle: list[Connection] = []
        self.open = 0
        self.in_flight = 0
        self.lag = 0.0
        self._name = net.split(address)
        self._step = 1 / rate
        self._next = time.monotonic()
        self._over = False

    async def run(self) -> None:
        while not self._over:
            now = time.monotonic()
            self.lag = max(self.lag, now - self._next)
            while self._next <= now:
                self.in_flight += 1
                self.send(self._next)
                self._next += self._step
            await asyncio.sleep(max(0.0005, self._next - time.monotonic()))
        for _ in range(int((GIVE_UP + 1) / POLL)):
            if not self.in_flight:
                break
            await asyncio.sleep(POLL)

    def stop(self) -> None:
        self._over = True

    def send(self, due: float) -> None:
        while self.idle:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                connection.ask(due)
                return
        if self.open < CONNECTIONS:
            self.open += 1
            self.loop.create_task(self._connect(due))
        else:
            self.waiting.append(due)

    async def _connect(self, due: float) -> None:
        family, name = self._name
        try:
            if isinstance(name, str):
                made = self.loop.create_unix_connection(lambda: Connection(self), name)
            else:
                made = self.loop.create_connection(lambda: Connection(self), *name, family=family)
            async with asyncio.timeout(GIVE_UP):
                _, connection = await made
        except (OSError, TimeoutError):
            self.open -= 1
            self.done(due, 0)
            return
        connection.ask(due)

    def done(self, due: float, status: int) -> None:
        self.in_flight -= 1
        self.results.extend((due, time.monotonic() - due, status))

    def free(self, connection: "Connection") -> None:
        if self.waiting:
            connection.ask(self.waiting.popleft())
        else:
            self.idle.append(connection)


class Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class

    def ask(self, due: float) -> None:
        self.due = due
        self.parser = httptools.HttpResponseParser(self)
        self.timer = self.sender.loop.call_later(GIVE_UP, self.transport.abort)
        self.transport.write(self.sender.request)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_message_complete(self) -> None:
        assert self.due is not None
        due, self.due = self.due, None
        self.timer.cancel()
        self.sender.done(due, self.parser.get_status_code())
        if self.parser.should_keep_alive():
            self.sender.loop.call_soon(self.sender.free, self)
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        sender = self.sender
        sender.open -= 1
        if self in sender.idle:
            sender.idle.remove(self)
        if self.due is not None:
            self.timer.cancel()
            sender.done(self.due, 0)
        if sender.waiting:
            sender.send(sender.waiting.popleft())


def main(address: str, rate: str, path: str, file: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: faults.test\r\n\r\n".encode()

    async def run() -> Sender:
        loop = asyncio.get_running_loop()
        sender = Sender(loop, address, float(rate), request)
        loop.add_reader(sys.stdin.fileno(), sender.stop)
        print("begun", flush=True)
        await sender.run()
        return sender

    sender = uvloop.run(run())
    Path(file).write_bytes(sender.results.tobytes())
    print(sender.lag)


if __name__ == "__main__":
    main(*sys.argv[1:])
