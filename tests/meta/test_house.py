"""The project's front door: verbs, papers, packaging."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.meta.source import ROOT

VERBS = {
    "annotate",
    "bench",
    "bench-faults",
    "bench-aggregate",
    "bench-apps",
    "bench-assess",
    "bench-cache",
    "bench-check",
    "bench-features",
    "bench-handlers",
    "bench-hostile",
    "bench-identity",
    "bench-limits",
    "bench-micro",
    "bench-overload",
    "bench-plugins",
    "bench-public-api",
    "bench-reload",
    "bench-scrape",
    "bench-shadow",
    "bench-tls",
    "bench-tunnel",
    "budgets",
    "build",
    "check",
    "clean",
    "conformance",
    "debug",
    "demo",
    "fuzz",
    "screenshot",
    "fuzz-mixed",
    "fuzz-parse",
    "help",
    "test",
    "wheel",
}


def read(*place: str) -> str:
    return ROOT.joinpath(*place).read_text(encoding="utf-8")


def verbs() -> dict[str, str]:
    """The Makefile's targets that people type, with what they say about themselves."""
    phony = re.search(r"^\.PHONY: (.*)$", read("Makefile"), re.M)
    assert phony is not None
    said = dict(re.findall(r"^([a-z-]+):[^#\n]*## (.+)$", read("Makefile"), re.M))
    return {verb: said.get(verb, "") for verb in phony[1].split()}


def test_verbs_are_those_promised() -> None:
    assert set(verbs()) == VERBS


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_documented(verb: str) -> None:
    assert verbs()[verb], f"no `##` line at {verb} in the Makefile"
    assert f"`make {verb}" in read("CONTRIBUTING.md"), f"CONTRIBUTING.md does not tell of `make {verb}`"


def test_help_lists_them_all() -> None:
    told = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert {line.split()[0] for line in told.stdout.splitlines()} == VERBS


@pytest.mark.parametrize("place", [("README.md",), (".github", "workflows", "ci.yml"), (".ci", "run")])
def test_what_is_told_to_run_exists(place: tuple[str, ...]) -> None:
    assert set(re.findall(r"""(?<![\w:])make ([a-z][a-z-]*)(?=[`"\s);]|$)""", read(*place))) <= VERBS


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_what_the_docs_tell_to_run_exists(page: Path) -> None:
    assert set(re.findall(r"`(?:\w+=\S+ )*make ([a-z-]+)", page.read_text(encoding="utf-8"))) <= VERBS


PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


def anchors(text: str) -> set[str]:
    """Of a page's headings, as GitHub and MkDocs make them."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target = page.parent / link if link else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}#{anchor} leads nowhere"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("/NAME.", "/request_id.")
    for place in re.findall(r"`((?:src|tests|benchmarks|ext|examples|deploy|tools|docs)/[\w./-]+)", text):
        assert (ROOT / place).exists(), f"{page.name} names {place}"


def test_navigation_of_the_docs_site_is_complete() -> None:
    listed = set(re.findall(r"([\w-]+\.md)", read("mkdocs.yml")))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_the_index_has_every_page() -> None:
    listed = re.findall(r"^- \[.+\]\(([\w-]+\.md)\): .+$", read("docs", "index.md"), re.M)
    assert sorted(listed) == sorted({page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"})


def test_changelog_has_the_version_on_top() -> None:
    namespace: dict[str, str] = {}
    exec(read("src", "tetrapylon", "_version.py"), namespace)
    top = re.search(r"^## \[?([\w.]+)\]?", read("CHANGELOG.md"), re.M)
    assert top is not None
    assert top[1] in (namespace["VERSION"], "Unreleased")


def test_licence_is_the_one_declared() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0" in read("LICENSE")


def test_cython_is_pinned_alike_everywhere() -> None:
    config = tomllib.loads(read("pyproject.toml"))
    required = [r for r in config["build-system"]["requires"] if r.startswith("Cython")]
    assert len(required) == 1
    assert "<" in required[0]
    assert required[0] in config["project"]["optional-dependencies"]["dev"]


def test_every_folder_of_tests_is_a_package() -> None:
    """So that two files of the same name in different rooms do not clash."""
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert [folder for folder in folders if not Path(folder, "__init__.py").exists()] == []
