"""The page, the picture and the README's table, and the judgement of budgets."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from benchmarks import budgets, report
from benchmarks.assess import record
from benchmarks.e2e.summary import Spread
from benchmarks.faults import __main__ as faults
from benchmarks.faults.scenes import Result
from benchmarks.picture import Row, draw, number, position, ticks

from .test_summary import full

META: dict[str, str | float] = {
    "date": "2025-01-01", "cpu": "CPU", "cores": 2, "kernel": "6", "python": "3", "rounds": 5, "seconds": 1.5,
    "open_seconds": 2.0, "pairs": 10, "half_rate": 25_000, "low_rate": 200, "idle_connections": 2000,
}  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> Path:
    held = full(cpu=15)
    held.meta = META
    held.save(tmp_path / "results.json", [])
    (tmp_path / "README.md").write_text(f"# Top\n\n{report.BEGIN}\nold\n{report.END}\n\nRest\n")
    report.write(tmp_path / "results.json", tmp_path)
    return tmp_path


def test_the_page_gives_ratios_first_and_sorts_by_cost(written: Path) -> None:
    page = (written / "docs" / "benchmarks.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert lines[0].startswith("|  | CPU / nginx | CPU / Go")
    assert lines[2].startswith("| **Tetrapylon** | 0.75 | 0.136 | 0.01 |")
    assert [line.split("|")[1].strip(" *") for line in lines[2:7]] == [
        "Tetrapylon", "Tetrapylon-Log", "Nginx", "Go", "Flask",
    ]  # fmt: skip
    assert "{" not in page
    assert "25,000/s" in page


def test_the_readme_keeps_what_stands_around_its_table(written: Path) -> None:
    text = (written / "README.md").read_text()
    assert text.startswith(f"# Top\n\n{report.BEGIN}\n![")
    assert text.endswith(f"{report.END}\n\nRest\n")
    assert "old" not in text
    rows = [line.split("|")[1].strip(" *") for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == ["Tetrapylon", "Nginx", "Go", "Flask"], "each system once"
    report.write(written / "results.json", written)
    assert (written / "README.md").read_text() == text, "writing twice changes nothing"


def test_the_readme_names_what_was_missed() -> None:
    assert report.Report(full(cpu=15)).missed().startswith("Tetrapylon meets all of its ")
    text = report.Report(full(cpu=19)).missed()
    assert text.startswith("Tetrapylon misses 4 of its 18 targets: ")
    assert "CPU per request at most 0.9 x nginx's (measured: 0.95 x)" in text


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md", "docs/benchmarks.svg"])
def test_pages_are_those_of_the_results(page: str, tmp_path: Path) -> None:
    """`python -m benchmarks.report` writes them anew."""
    (tmp_path / "README.md").write_text((report.ROOT / "README.md").read_text())
    report.write(report.RESULTS, tmp_path)
    assert (report.ROOT / page).read_text() == (tmp_path / page).read_text()


def test_other_tables_are_those_of_their_results() -> None:
    results = msgspec.json.decode(faults.RESULTS.read_bytes(), type=list[Result])
    assert faults.PAGE.read_text() == faults.written(results, faults.RATE)
    assert record.PAGE.read_text() == record.written(json.loads(record.RESULTS.read_text()))


def test_a_marker_without_its_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="benchmarks:end"):
        report.between(f"text {report.BEGIN} more", "table")


def test_the_picture_is_svg_with_a_bar_for_each_system(written: Path) -> None:
    root = ET.fromstring((written / "docs" / "benchmarks.svg").read_text())
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(bar.attrib["width"]) for bar in root.iter(f"{space}rect")]
    assert len(widths) == 5
    assert widths == sorted(widths)
    style = root.find(f"{space}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")


def test_names_cannot_break_the_picture() -> None:
    text = draw([Row('<a> & "b"', Spread(10, 9, 11, 5), "<note>", False)], 'a "title" <t>', "&")
    ET.fromstring(text)


def test_a_picture_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no system to draw"):
        draw([], "title", "subtitle")


def test_the_axis_is_logarithmic() -> None:
    a, b, c = (position(value, 1, 100) for value in (1, 10, 100))
    assert b - a == pytest.approx(c - b)
    assert ticks(5, 60) == [5, 10, 20, 50]
    assert [number(value) for value in (4.24, 99.94, 99.99, 1234.5)] == ["4.2", "99.9", "100", "1,234"]


@pytest.mark.parametrize(
    ("counted", "budget", "word", "holds"),
    [
        (10_000, 10_000, "ok", True),
        (10_299, 10_000, "ok", True),
        (10_301, 10_000, "OVER", False),
        (9_000, 10_000, "lower the budget", True),
        (9_000, None, "no budget", False),
    ],
)
def test_a_budget_holds_within_its_tolerance(
    counted: float, budget: int | None, word: str, holds: bool
) -> None:
    line, fine = budgets.judge("small", counted, budget, 0.03, 0)
    assert word in line
    assert fine is holds


def test_what_costs_little_may_move_by_a_margin() -> None:
    for counted, fine in ((900, True), (1100, True), (1101, False)):
        assert budgets.judge("bot", counted, 1000, 0.03, 100)[1] is fine


def test_updating_budgets_keeps_their_comments_and_what_was_not_counted() -> None:
    before = "# why\ntolerance = 0.03\n\n[instructions]\nsmall = 1\n\n# these\n[policies]\nacl = 1\nbot = 2\n"
    text = budgets.updated(before, {"instructions": {"small": 2.4, "post": 3.6}, "policies": {"bot": 3.0}})
    assert text == (
        "# why\ntolerance = 0.03\n\n[instructions]\nsmall = 2\npost = 4\n\n"
        "# these\n[policies]\nacl = 1\nbot = 3\n"
    )


def test_dumps_are_added_up_and_taken_away(tmp_path: Path) -> None:
    for name, count in (("callgrind.10.1", 100), ("callgrind.11.1", 23)):
        (tmp_path / name).write_text(f"version: 1\nsummary: {count}\n\nfn=(1)\n1 5\n\ntotals: {count}\n")
    (tmp_path / "nginx.conf").write_text("totals: 7")
    assert budgets.totals(tmp_path) == 123
    assert budgets.totals(tmp_path) == 0
