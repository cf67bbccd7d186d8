"""The formats that a config, or a part of one, may have."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tetrapylon.config.tree import Document

__all__ = ["FORMATS", "parse"]

FORMATS = {".yaml": "read_yaml", ".yml": "read_yaml", ".toml": "read_toml", ".json": "read_json"}
"""What reads each, by the ending of a file's name."""


def parse(text: str, file: str) -> Document:
    """Of a file whose name has one of those endings. Raises ConfigError."""
    # Each format is imported when met: YAML alone takes 20 ms.
    reader = import_module(f"{__package__}.{FORMATS[Path(file).suffix]}")
    document: Document = reader.parse(text, file)
    return document
