"""docs/metrics.md is what its tool prints, and names are as Prometheus would have them."""

import re
import subprocess
import sys

from tests.meta.source import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)


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
