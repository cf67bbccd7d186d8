"""docs/policies.md is what its tool prints, policy by policy."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest

from benchmarks.policies import COUNTED
from tests.meta.source import ROOT
from tetrapylon import catalog
from tetrapylon.config import shape
from tetrapylon.config.policies import settings_section


def sections(page: str) -> dict[str, str]:
    return {part.partition("`")[0]: part for part in page.split("\n## `")}


def test_what_the_page_tells_is_up_to_date() -> None:
    told = subprocess.run([sys.executable, "tools/policies.py"], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    printed = sections(told.stdout)
    page = sections((ROOT / "docs" / "policies.md").read_text(encoding="utf-8"))
    stale = {name for name in page.keys() | printed.keys() if page.get(name) != printed.get(name)}
    assert not stale, f"{stale}: run .venv/bin/python tools/policies.py > docs/policies.md"


@pytest.mark.parametrize("name", catalog.POLICIES)
def test_each_policy_says_what_it_is_for(name: str) -> None:
    assert vars(catalog.policy(name).Settings).get("__doc__"), "the page shows its docstring"
    for path, section in nested(name, settings_section(name)):
        for field in section.fields.values():
            assert field.description, f"{path}.{field.name} is not described"


def nested(path: str, section: shape.Section) -> Iterator[tuple[str, shape.Section]]:
    yield path, section
    for field in section.fields.values():
        inner = field.shape.inner if isinstance(field.shape, shape.Optional) else field.shape
        if isinstance(inner, shape.Section):
            yield from nested(f"{path}.{field.name}", inner)


def test_each_policy_has_an_example() -> None:
    examples = {path.stem for path in (ROOT / "examples" / "policies").glob("*.yaml")}
    # A client certificate needs a listener with certificates of its own: docs/identity.md shows it.
    assert catalog.POLICIES.keys() - examples == {"mtls"}


def test_each_policy_has_a_cost() -> None:
    budgets = tomllib.loads((ROOT / "benchmarks" / "budgets.toml").read_text(encoding="utf-8"))
    assert catalog.POLICIES.keys() <= budgets["policies"].keys()
    assert {each.name for each in COUNTED} == set(budgets["policies"])
