"""Every command that the docs show is one that the command line takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.source import ROOT
from tetrapylon.cli import build_parser, main

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(r"^ *```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
MENTION = re.compile(r"`tetrapylon ([a-z]+)([^`]*)`")


def shown() -> Iterator[tuple[str, str]]:
    """Commands to type, each with its page."""
    for page in PAGES:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ tetrapylon "):
                    yield page.name, line[2:].strip()


def mentioned() -> dict[str, set[str]]:
    """Verbs with the options that prose names."""
    found: dict[str, set[str]] = {}
    for page in PAGES:
        for verb, rest in MENTION.findall(page.read_text(encoding="utf-8")):
            found.setdefault(verb, set()).update(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest))
    return found


@pytest.mark.parametrize(("page", "command"), sorted(set(shown())))
def test_command_is_taken(page: str, command: str) -> None:
    build_parser().parse_args(shlex.split(command.partition(" | ")[0], comments=True)[1:])


def test_the_readmes_config_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Copied from the page it is fine as it is, and its commands do what they are said to."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (config,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "gateway.yaml"
    path.write_text(config)
    monkeypatch.chdir(ROOT)
    assert main(["check", str(path)]) == 0
    assert main(["explain", str(path), "GET", "/users/7"]) == 0


@pytest.mark.parametrize("verb", sorted(mentioned()))
def test_verb_has_the_options_that_prose_names(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([verb, "--help"])
    assert stop.value.code == 0
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", capsys.readouterr().out))
    assert mentioned()[verb] <= options
