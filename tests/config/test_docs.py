"""Every config in the docs is one that the reader takes."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.source import ROOT
from tetrapylon.config import load, loads
from tetrapylon.errors import ConfigError

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<format>yaml|toml|json)\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL
)
# An excerpt names what stands elsewhere in its config, and files of the reader's own.
ELSEWHERE = re.compile(
    r"there is no (?:upstream|consumer|app|file|folder|module)|cannot be read|cannot read|No such file"
    r"|the route leads nowhere"
)


VARIABLE = re.compile(r"\$\{(\w+)\}")


def blocks() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield f"{page.name}:{line}", found["format"], textwrap.dedent(found["text"])


BLOCKS = list(blocks())


def test_there_are_some() -> None:
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize(("place", "format", "text"), BLOCKS, ids=[block[0] for block in BLOCKS])
def test_an_example_is_fine(monkeypatch: pytest.MonkeyPatch, place: str, format: str, text: str) -> None:
    for name in VARIABLE.findall(text):
        monkeypatch.setenv(name, "/example")
    try:
        loads(text, f"example.{format}")
    except ConfigError as error:
        wrong = [str(problem) for problem in error.problems if not ELSEWHERE.search(problem.message)]
        assert not wrong, f"{place}: {wrong}"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: path.name)
def test_an_example_to_run_is_fine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    for name in VARIABLE.findall(path.read_text(encoding="utf-8")):
        monkeypatch.setenv(name, "/example")
    assert load(path.name).routes
