"""Lines of Prometheus text (leaf)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


def head(name: str, kind: Kind, text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {escaped}\n# TYPE {name} {kind}\n"


def sample(name: str, labels: str, value: str) -> str:
    return f"{name}{{{labels}}} {value}\n" if labels else f"{name} {value}\n"


def join_labels(labels: Iterable[tuple[str, str]]) -> str:
    """`a="1",b="2"`, values escaped; names are the caller's own."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels)


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
