"""What a line of the access log costs; msgspec's encoder beside it."""

from pathlib import Path

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.micro.compiled import load
from tetrapylon._core.telemetry.log import AccessLog

LINES = 10_000
TARGET = "/users/48213/orders?page=3&sort=-created"
USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)


@pytest.mark.parametrize("target", ["/dev/null", "file"])
@pytest.mark.benchmark(group=f"access log, {LINES:,} lines")
def test_write(benchmark: BenchmarkFixture, tmp_path: Path, target: str) -> None:
    """The bar is 400 ns a line, without what the file system takes."""
    log = AccessLog(tmp_path / "access.log" if target == "file" else target)
    write_lines = load("log_loop").write_lines
    arguments = (log, LINES, TARGET.encode(), USER_AGENT.encode())
    benchmark.pedantic(write_lines, args=arguments, rounds=30, warmup_rounds=2)  # type: ignore[no-untyped-call]
    log.close()
    assert log.dropped == 0
    if benchmark.stats is not None:
        cost = benchmark.stats.stats.min / LINES * 1e9
        benchmark.extra_info["ns_per_line"] = round(cost)
        assert target == "file" or cost < 400


@pytest.mark.benchmark(group=f"access log, {LINES:,} lines")
def test_msgspec_encodes_alone(benchmark: BenchmarkFixture) -> None:
    encoder = msgspec.json.Encoder()
    record = {
        "time": "2026-01-02T03:04:05.678Z",
        "client": "203.0.113.7",
        "method": "GET",
        "host": "api.example.com",
        "target": TARGET,
        "protocol": "HTTP/1.1",
        "route": "/users/{id:int}/orders",
        "status": 200,
        "bytes_in": 321,
        "bytes_out": 408,
        "duration_us": 900,
        "gateway_us": 15,
        "upstream_us": 885,
        "upstream": "http://10.0.0.5:9001",
        "user_agent": USER_AGENT,
        "referer": "https://www.example.com/account/orders",
    }

    def encode() -> None:
        for _ in range(LINES):
            encoder.encode(record)

    benchmark.pedantic(encode, rounds=10, warmup_rounds=1)  # type: ignore[no-untyped-call]
