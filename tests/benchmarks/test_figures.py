"""What `tetrapylon assess` ships of the benchmarks is what they recorded."""

import json
from pathlib import Path

import pytest

import tetrapylon.assess
from benchmarks.e2e import summary
from benchmarks.e2e.results import Results
from benchmarks.figures import figures
from benchmarks.report import RESULTS
from tetrapylon.assess.measured import measured

SHIPPED = Path(tetrapylon.assess.__file__).with_name("measured.json")


def test_shipped_figures_are_those_of_the_results() -> None:
    """`python -m benchmarks.report` writes them anew."""
    assert SHIPPED.read_text() == figures(Results.load(RESULTS))


def test_ratios_are_those_of_the_page() -> None:
    results = Results.load(RESULTS)
    for base in ("flask", "go", "nginx"):
        expected = summary.ratio(results.runs, "small", summary.cpu, "tetrapylon", base)
        assert expected is not None
        told = measured().systems["tetrapylon"].ratios[base]
        assert told == pytest.approx((expected.median, expected.low, expected.high), rel=1e-3)


def test_source_and_machine_are_named() -> None:
    told = json.loads(SHIPPED.read_text())
    assert told["source"] == RESULTS.relative_to(RESULTS.parents[2]).as_posix()
    assert told["date"]
    assert told["machine"]
