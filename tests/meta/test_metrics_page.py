"""docs/metrics.md is what its tool prints, and names are as Prometheus would have them."""

import re
import subprocess
import sys

from tests.meta.source import ROOT
from tetrapylon._core.telemetry.counters import Reject

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
FAMILIES, REASONS, SOMETIMES = re.split(r"^## .*$", PAGE, flags=re.MULTILINE)
ROWS = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", FAMILIES + SOMETIMES, re.MULTILINE)


def test_what_the_page_tells_is_up_to_date() -> None:
    told = subprocess.run([sys.executable, "tools/metrics.py"], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert told.stdout == PAGE, "run .venv/bin/python tools/metrics.py > docs/metrics.md"


def test_names_follow_the_conventions() -> None:
    """https://prometheus.io/docs/practices/naming: base units, and `_total` for what only grows."""
    assert len({name for name, *_ in ROWS}) == len(ROWS) > 60
    for name, kind, text in ROWS:
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or name.endswith("_seconds"), name
        assert not re.search(r"milli|micro|nano|minutes|hours|kilo|mega", name), name
        assert name.startswith(("tetrapylon_", "http_", "process_")), name
        assert text.endswith("."), name


def test_every_reason_to_refuse_can_come_about() -> None:
    """What stands in the tables alone would be a series, and an entry in the log, that nobody ever sees."""
    core = ROOT / "ext" / "tetrapylon" / "_core"
    faults = re.findall(
        r"^    ([A-Z_]+)\b",
        (core / "exchange.pxd").read_text().partition("cdef enum Fault:")[2].partition("FAULTS")[0],
        re.MULTILINE,
    )
    table = (core / "http" / "respond.pyx").read_text()
    code = {path: path.read_text() for path in core.rglob("*.pyx")}
    raised = "\n".join(text for path, text in code.items() if path.name not in ("respond.pyx", "move.pyx"))
    assert {"BAD_REQUEST", "STOPPING", "CLIENT_GONE"} <= set(faults)
    never = [fault for fault in faults if fault != "NO_FAULT" and not re.search(rf"\b{fault}\b", raised)]
    assert never == []
    everything = "\n".join(code.values())
    assert re.findall(r"^\| `(\w+)`", REASONS, re.MULTILINE) == [reason.name.lower() for reason in Reject]
    assert all(f"verdict({fault}," in table for fault in faults if fault != "NO_FAULT")
    uncounted = [reason.name for reason in Reject if f"Reject.{reason.name}" not in everything]
    assert uncounted == []
