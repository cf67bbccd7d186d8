"""What hosted apps are tested with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.apps.shop import APPS


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with the modules of apps."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "hosted.py").write_text(APPS)
    (folder / "hosted_slowly.py").write_text("import time\ntime.sleep(1)\nfrom hosted import app\n")
    return folder


@pytest.fixture
def run() -> Iterator[Path]:
    """An empty folder with a short name."""
    with TemporaryDirectory(prefix="apps-") as name:
        yield Path(name)
