"""What counts as the same: set by people, where noise cannot tell (leaf)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tetrapylon.config.json_path import names

__all__ = ["HEADERS", "ITEM", "Path", "Rules", "Tolerance", "told"]

ITEM = None
"""In a path: some item of the array."""
Path = tuple[str | None, ...]

HEADERS = (
    "content-type",
    "content-language",
    "content-disposition",
    "cache-control",
    "location",
    "link",
    "allow",
    "vary",
    "set-cookie",
    "www-authenticate",
    "retry-after",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
)
"""What clients act on, so what is compared unless others are named."""


class Tolerance(NamedTuple):
    """How far numbers may lie apart."""

    most: float
    relative: bool = False
    """To the larger of the two."""

    def allows(self, left: float, right: float) -> bool:
        try:
            largest = float(max(abs(left), abs(right)))
        except OverflowError:  # an integer that no float holds
            return False
        most = self.most * largest if self.relative else self.most
        return abs(left - right) <= most + 1e-12 * largest  # 1.01 - 1.0 is a little more than 0.01


class Rules:
    """Paths are written as in a config: names with dots between, `*` for any; through arrays by itself."""

    def __init__(
        self,
        *,
        headers: Iterable[str] = HEADERS,
        ignore: Iterable[str] = (),
        sets: Iterable[str] = (),
        tolerance: Mapping[str, Tolerance] | None = None,
    ) -> None:
        self.headers = tuple(name.lower() for name in headers)
        self._ignore = [names(path) for path in ignore]
        self._sets = [names(path) for path in sets]
        self._tolerance = [(names(path), each) for path, each in (tolerance or {}).items()]

    def ignores(self, path: Path) -> bool:
        """What is at the path, or all that it is a part of, does not matter."""
        return any(_matches(rule, path) for rule in self._ignore)

    def is_set(self, path: Path) -> bool:
        """The order of the array there does not matter."""
        return any(_matches(rule, path) for rule in self._sets)

    def tolerance(self, path: Path) -> Tolerance | None:
        return next((each for rule, each in self._tolerance if _matches(rule, path)), None)


def _matches(rule: list[str], path: Path) -> bool:
    steps = [step for step in path if step is not ITEM]
    return len(steps) == len(rule) and all(own in ("*", step) for own, step in zip(rule, steps, strict=True))


def told(path: Path) -> str:
    """As people read it: `body items[].price`."""
    text = ""
    for step in path:
        if step is ITEM:
            text += "[]"
        else:
            text += ("." if text else "") + step.replace(".", "\\.")
    return f"body {text}" if text else "body"
