"""What reading a message costs: both backends from compiled code; httptools alone and h11 beside them."""

from collections.abc import Callable, Iterator

import h11
import httptools
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.micro.compiled import load
from benchmarks.micro.messages import ANSWER, BROWSER, CHUNKED, GET
from tetrapylon._core.http import parse

MESSAGES = {
    "GET, 6 fields": GET,
    "GET of a browser": BROWSER,
    "POST, 4 chunks": CHUNKED,
    "200, 5 fields": ANSWER,
}
COUNT = 1_000

Read = Callable[[bytes, int], object]


def is_request(message: bytes) -> bool:
    return not message.startswith(b"HTTP/")


def report(benchmark: BenchmarkFixture, name: str, read: Read) -> None:
    benchmark.group = f"reading {name}, {COUNT:,} a round"
    benchmark.pedantic(read, args=(MESSAGES[name], COUNT), rounds=10, warmup_rounds=1)  # type: ignore[no-untyped-call]
    if benchmark.stats is not None:
        benchmark.extra_info["ns_per_message"] = round(benchmark.stats.stats.median / COUNT * 1e9)


@pytest.fixture(params=["llhttp", "httptools"])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    before = parse.backend()
    parse.use_backend(request.param)
    yield request.param
    parse.use_backend(before)


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.usefixtures("backend")
def test_tetrapylon(benchmark: BenchmarkFixture, name: str) -> None:
    read = load("parse_loop").read
    report(benchmark, name, lambda message, n: read(is_request(message), message, n))


class Collector:
    """A protocol that keeps a message, as users of httptools write it."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = 0

    def on_message_begin(self) -> None:
        self.headers = []
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole += 1


@pytest.mark.parametrize("name", MESSAGES)
def test_httptools_alone(benchmark: BenchmarkFixture, name: str) -> None:
    def read(message: bytes, n: int) -> None:
        collector = Collector()
        kind = httptools.HttpRequestParser if is_request(message) else httptools.HttpResponseParser
        parser = kind(collector)
        for _ in range(n):
            parser.feed_data(message)
        assert collector.whole == n

    report(benchmark, name, read)


@pytest.mark.parametrize("name", MESSAGES)
def test_h11(benchmark: BenchmarkFixture, name: str) -> None:
    """A connection for each message: its cycle wants an answer before the next one is read."""

    def read(message: bytes, n: int) -> None:
        for _ in range(n):
            connection = h11.Connection(h11.SERVER if is_request(message) else h11.CLIENT)
            if not is_request(message):
                connection.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
                connection.send(h11.EndOfMessage())
            connection.receive_data(message)
            while type(connection.next_event()) is not h11.EndOfMessage:
                pass

    report(benchmark, name, read)
