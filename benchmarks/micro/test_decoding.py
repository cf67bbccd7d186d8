"""What it takes to decode JSON into dicts and lists: msgspec, as handlers and plugins do, and orjson."""

import json
from typing import Any

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

orjson: Any = pytest.importorskip("orjson", reason="pip install orjson")
QUOTE = {"id": 1, "symbol": "ACME", "price": 12.5, "size": 5, "open": True, "tags": ["nyse"]}


def document(count: int) -> bytes:
    if not count:
        return json.dumps(QUOTE).encode()
    items = [{"id": i, "name": f"item {i}", "price": i * 1.25, "tags": ["a", "b"]} for i in range(count)]
    return json.dumps({"items": items}).encode()


@pytest.mark.parametrize("library", ["msgspec", "orjson"])
@pytest.mark.parametrize("count", [0, 40, 3000], ids=["85 B", "2.6 KB", "214 KB"])
def test_decode(benchmark: BenchmarkFixture, count: int, library: str) -> None:
    data = document(count)
    benchmark.group = f"decode {len(data):,} bytes"
    decode = msgspec.json.Decoder().decode if library == "msgspec" else orjson.loads
    assert benchmark(decode, data) == json.loads(data)
