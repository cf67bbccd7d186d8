"""The app of this process: imported, which the host is told of by a file."""

from __future__ import annotations

import os
from typing import Any

from tetrapylon.load import load_object

__all__ = ["hosted"]


def hosted() -> Any:
    """What `TETRAPYLON_APP` names. Raises LoadError."""
    app = load_object(os.environ["TETRAPYLON_APP"])
    with open(os.environ["TETRAPYLON_LOADED"], "wb"):
        return app
