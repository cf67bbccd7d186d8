"""docs/commands.md is what its tool prints: every verb with its arguments."""

import subprocess
import sys

from tests.meta.source import ROOT


def test_what_the_page_tells_is_up_to_date() -> None:
    told = subprocess.run([sys.executable, "tools/commands.py"], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert told.stdout == page, "run .venv/bin/python tools/commands.py > docs/commands.md"
