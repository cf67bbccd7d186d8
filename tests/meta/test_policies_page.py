"""docs/policies.md is what its tool prints, policy by policy."""

import subprocess
import sys

from tests.meta.source import ROOT


def sections(page: str) -> dict[str, str]:
    return {part.partition("`")[0]: part for part in page.split("\n## `")}


def test_what_the_page_tells_is_up_to_date() -> None:
    told = subprocess.run([sys.executable, "tools/policies.py"], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    printed = sections(told.stdout)
    for name, section in sections((ROOT / "docs" / "policies.md").read_text(encoding="utf-8")).items():
        assert section.strip() == printed.get(name, "").strip(), (
            f"{name}: run .venv/bin/python tools/policies.py > docs/policies.md"
        )
