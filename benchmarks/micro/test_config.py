"""What reading and checking a config costs, by its format and the number of its routes."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from tetrapylon.config import decode, encode, loads

SIZES = [100, 1_000, 10_000]
ROUNDS = {100: 15, 1_000: 5, 10_000: 2}


def config(n: int) -> dict[str, Any]:
    """`n` routes to ten upstreams."""
    return {
        "server": {"listen": ["127.0.0.1:8080"]},
        "upstreams": {f"service-{i}": {"targets": [f"http://10.0.0.{i + 1}:9001"]} for i in range(10)},
        "routes": [
            {
                "path": f"/api/service-{i}/items/{{id:int}}",
                "methods": ["GET", "PUT"],
                "upstream": f"service-{i % 10}",
                "rewrite": "/items/{id}",
                "limits": {"body": "1MiB"},
            }
            for i in range(n)
        ],
    }


def yaml(whole: dict[str, Any]) -> str:
    """Block style down to the routes, a flow mapping for each, as people write them."""
    text = [f"server: {json.dumps(whole['server'])}", "upstreams:"]
    text += [f"  {name}: {json.dumps(value)}" for name, value in whole["upstreams"].items()]
    text += ["routes:", *(f"  - {json.dumps(route)}" for route in whole["routes"])]
    return "\n".join(text) + "\n"


def toml(whole: dict[str, Any]) -> str:
    text = ["[server]", f"listen = {json.dumps(whole['server']['listen'])}"]
    for name, value in whole["upstreams"].items():
        text += [f"[upstreams.{name}]", f"targets = {json.dumps(value['targets'])}"]
    for route in whole["routes"]:
        text += ["[[routes]]", *(f"{key} = {json.dumps(value)}" for key, value in list(route.items())[:-1])]
        text.append(f'limits = {{body = "{route["limits"]["body"]}"}}')
    return "\n".join(text) + "\n"


def indented(whole: dict[str, Any]) -> str:
    return json.dumps(whole, indent=2)


FORMATS: dict[str, Callable[[dict[str, Any]], str]] = {"yaml": yaml, "toml": toml, "json": indented}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", FORMATS)
def test_load(benchmark: BenchmarkFixture, kind: str, n: int) -> None:
    text = FORMATS[kind](config(n))
    benchmark.group = f"a config of {n:,} routes"
    loaded = benchmark.pedantic(loads, args=(text, f"gateway.{kind}"), rounds=ROUNDS[n])  # type: ignore[no-untyped-call]
    assert len(loaded.routes) == n
    if benchmark.stats is not None:
        benchmark.extra_info["us_per_route"] = round(benchmark.stats.stats.median / n * 1e6, 1)


@pytest.mark.parametrize("n", SIZES)
def test_in_a_worker(benchmark: BenchmarkFixture, n: int) -> None:
    """What is read and checked once goes to each worker in this form."""
    encoded = encode(loads(indented(config(n)), "gateway.json"))
    benchmark.group = f"a config of {n:,} routes"
    decoded = benchmark.pedantic(decode, args=(encoded,), rounds=ROUNDS[n])  # type: ignore[no-untyped-call]
    assert len(decoded.routes) == n


@pytest.mark.parametrize("n", SIZES)
def test_json_without_a_schema(benchmark: BenchmarkFixture, n: int) -> None:
    """The floor: JSON alone, with no position kept and nothing checked."""
    text = indented(config(n))
    benchmark.group = f"a config of {n:,} routes"
    benchmark.pedantic(msgspec.json.decode, args=(text,), rounds=ROUNDS[n])  # type: ignore[no-untyped-call]
