"""The benchmark's tools, compiled once, and its upstream, running."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.e2e.process import Upstream
from benchmarks.e2e.workshop import compile_tool


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("cc"):
        pytest.skip("no C compiler")
    directory = tmp_path_factory.mktemp("tools")
    for name in ("upstream", "load"):
        compile_tool(name, directory)
    return directory


@pytest.fixture
def upstream(tools: Path) -> Iterator[Upstream]:
    with Upstream(tools / "upstream") as running:
        yield running
