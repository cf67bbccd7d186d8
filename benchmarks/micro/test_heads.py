"""What writing a head costs: from compiled code; joining bytes in Python beside it."""

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.micro.compiled import load
from benchmarks.micro.messages import ANSWER, BROWSER, GET

REQUESTS = {"GET, 6 fields": GET, "GET of a browser": BROWSER}
COUNT = 10_000

Write = Callable[[int], object]


def report(benchmark: BenchmarkFixture, name: str, write: Write, count: int = COUNT) -> None:
    benchmark.group = f"writing the head of {name}, {count:,} a round"
    benchmark.pedantic(write, args=(count,), rounds=15, warmup_rounds=1)  # type: ignore[no-untyped-call]
    if benchmark.stats is not None:
        benchmark.extra_info["ns_per_head"] = round(benchmark.stats.stats.median / count * 1e9)


def lines(message: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The start line, and the fields."""
    first, *rest = message.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return first, [(name, value) for name, _, value in (line.partition(b": ") for line in rest)]


@pytest.mark.parametrize("name", REQUESTS)
def test_request(benchmark: BenchmarkFixture, name: str) -> None:
    heads = load("head_loop").Heads(REQUESTS[name], ANSWER)
    assert b"\r\nX-Forwarded-For: 203.0.113.7\r\n" in heads.requests(1)
    report(benchmark, name, heads.requests)


@pytest.mark.parametrize("name", REQUESTS)
def test_request_joined(benchmark: BenchmarkFixture, name: str) -> None:
    first, fields = lines(REQUESTS[name])
    fields = [pair for pair in fields if pair[0] != b"Connection"]
    added = [(b"X-Forwarded-For", b"203.0.113.7"), (b"X-Forwarded-Proto", b"http"), (b"Via", b"1.1 gateway")]

    def write(n: int) -> bytes:
        for _ in range(n):
            head = b"\r\n".join([first, *(name + b": " + value for name, value in fields + added), b"\r\n"])
        return head

    report(benchmark, name, write)


def test_response(benchmark: BenchmarkFixture) -> None:
    heads = load("head_loop").Heads(GET, ANSWER)
    assert heads.responses(1) == ANSWER.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    report(benchmark, "200, 5 fields", heads.responses)


def test_response_joined(benchmark: BenchmarkFixture) -> None:
    first, fields = lines(ANSWER)

    def write(n: int) -> bytes:
        for _ in range(n):
            head = b"\r\n".join([first, *(name + b": " + value for name, value in fields), b"\r\n"])
        return head

    report(benchmark, "200, 5 fields", write)
