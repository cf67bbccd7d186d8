"""JSON values compared by meaning."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tetrapylon.diff.answer import ABSENT, Difference
from tetrapylon.diff.forms import shape
from tetrapylon.diff.noise import Noise
from tetrapylon.diff.rules import ITEM, Path, Rules, told

__all__ = ["Unreadable", "differences", "read"]

DEEPEST = 200
"""Levels of nesting; deeper texts are compared as text."""
LAST_DIGIT = 1e-15
"""Two numbers of which the larger differs by less are one: writers round the last digit differently."""
EXACT = 1 << 53
"""Integers up to here are floats, too."""
STRICT_KEYS = ("uuid", "hex ", "digits", "date", "time ")
"""Forms of an object's names that are data rather than names."""
PAIRED = 100
"""Items of two sets that are tried on each other, beyond those that are equal."""


class Unreadable(ValueError):
    """What is no JSON that can be compared."""


def read(body: bytes) -> Any:
    """Raises Unreadable."""
    try:
        value = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    if _depth(value) > DEEPEST:
        raise Unreadable(f"it is nested more than {DEEPEST} deep")
    return value


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        depth += 1
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        level = [each for each in inner if isinstance(each, dict | list)]
    return depth


def differences(left: Any, right: Any, rules: Rules, noise: Noise) -> Iterator[Difference]:
    """In the order of the left value. `noise` tells which arrays' order means nothing, and no more here."""
    return _Walk(rules, noise).walk((), left, right)


class _Walk:
    def __init__(self, rules: Rules, noise: Noise) -> None:
        self._rules = rules
        self._noise = noise

    def walk(self, path: Path, left: Any, right: Any) -> Iterator[Difference]:
        if self._rules.ignores(path):
            return
        if isinstance(left, dict) and isinstance(right, dict):
            yield from self._objects(path, left, right)
        elif isinstance(left, list) and isinstance(right, list):
            yield from self._arrays(path, left, right)
        elif not self._same(path, left, right):
            kind = "value" if _kind(left) == _kind(right) else "type"
            yield Difference(told(path), kind, left, right)

    def _same(self, path: Path, left: Any, right: Any) -> bool:
        if _kind(left) != _kind(right):
            return False
        if left == right or _kind(left) != "number":
            return bool(left == right)
        if _equal(left, right):
            return True
        allowed = self._rules.tolerance(path)
        return allowed is not None and allowed.allows(left, right)

    # -- objects

    def _objects(self, path: Path, left: dict[str, Any], right: dict[str, Any]) -> Iterator[Difference]:
        gone = [name for name in left if name not in right]
        new = [name for name in right if name not in left]
        if gone and new and _is_data([*gone, *new]):
            # Names that are identifiers: a place for each would never be seen again.
            inner = (*path, "*")
            if len(left) != len(right) and not self._rules.ignores(inner):
                yield Difference(told(inner), "length", len(left), len(right))
            yield from self._renamed(inner, gone, new)
            for old, name in zip(gone, new, strict=False):
                yield from self.walk(inner, left[old], right[name])
            gone, new = [], []
        for name, value in left.items():
            if name in right:
                yield from self.walk((*path, name), value, right[name])
        for name in gone:
            if not self._rules.ignores((*path, name)):
                yield Difference(told((*path, name)), "missing", left[name], ABSENT)
        for name in new:
            if not self._rules.ignores((*path, name)):
                yield Difference(told((*path, name)), "extra", ABSENT, right[name])

    def _renamed(self, path: Path, gone: list[str], new: list[str]) -> Iterator[Difference]:
        if not self._rules.ignores(path):
            yield Difference(told(path), "value", gone[0], new[0])

    # -- arrays

    def _arrays(self, path: Path, left: list[Any], right: list[Any]) -> Iterator[Difference]:
        where = told(path)
        if len(left) != len(right) and not self._rules.ignores((*path, ITEM)):
            yield Difference(where, "length", len(left), len(right))
        free = self._rules.is_set(path) or self._noise.orderless(where)
        name = _identity(left, right)
        if name is not None:
            yield from self._by_name(path, name, left, right, free=free)
        elif free:
            yield from self._sets(path, left, right)
        elif len(left) == len(right):
            # Equal numbers are equal values, whatever they are written as: so are the texts.
            texts = [_text(each) for each in left], [_text(each) for each in right]
            if texts[0] != texts[1] and Counter(texts[0]) == Counter(texts[1]):
                yield Difference(where, "order", left, right)
                return
            for one, other in zip(left, right, strict=True):
                yield from self.walk((*path, ITEM), one, other)
        else:
            yield from self._shifted(path, left, right)

    def _by_name(
        self, path: Path, name: str, left: list[Any], right: list[Any], *, free: bool
    ) -> Iterator[Difference]:
        inner = (*path, ITEM)
        found = {_text(each[name]): each for each in right}
        common = [key for each in left if (key := _text(each[name])) in found]
        if not free:
            kept = set(common)
            if common != [key for key in found if key in kept]:
                yield Difference(told(path), "order", left, right)
        for each in left:
            other = found.pop(_text(each[name]), ABSENT)
            if other is ABSENT:
                yield Difference(told(inner), "missing", each, ABSENT)
            else:
                yield from self.walk(inner, each, other)
        for other in found.values():
            yield Difference(told(inner), "extra", ABSENT, other)

    def _sets(self, path: Path, left: list[Any], right: list[Any]) -> Iterator[Difference]:
        inner = (*path, ITEM)
        rest = Counter(map(_text, right))
        only_left = []
        for each in left:
            if rest[text := _text(each)] > 0:
                rest[text] -= 1
            else:
                only_left.append(each)
        only_right = []
        for each in reversed(right):
            if rest[text := _text(each)] > 0:
                rest[text] -= 1
                only_right.append(each)
        only_right.reverse()
        yield from self._pair(inner, only_left, only_right)

    def _pair(self, path: Path, left: list[Any], right: list[Any]) -> Iterator[Difference]:
        """What two sets do not have in common: each with the one that it differs from least."""
        right = list(right)
        for count, one in enumerate(left):
            if not right:
                yield Difference(told(path), "missing", one, ABSENT)
                continue
            best, least = 0, None
            for at, other in enumerate(right[:PAIRED] if count < PAIRED else right[:1]):
                found = [each for each in self.walk(path, one, other) if not self._noise.explains(each)]
                if least is None or len(found) < least:
                    best, least = at, len(found)
                if not least:
                    break
            yield from self.walk(path, one, right.pop(best))
        for other in right:
            yield Difference(told(path), "extra", ABSENT, other)

    def _shifted(self, path: Path, left: list[Any], right: list[Any]) -> Iterator[Difference]:
        """Of different lengths: what is equal at both ends stays out of it."""
        inner = (*path, ITEM)
        texts = [_text(each) for each in left], [_text(each) for each in right]
        shorter = min(len(left), len(right))
        start = 0
        while start < shorter and texts[0][start] == texts[1][start]:
            start += 1
        end = 0
        while end < shorter - start and texts[0][-1 - end] == texts[1][-1 - end]:
            end += 1
        old, new = left[start : len(left) - end], right[start : len(right) - end]
        for one, other in zip(old, new, strict=False):
            yield from self.walk(inner, one, other)
        for one in old[len(new) :]:
            yield Difference(told(inner), "missing", one, ABSENT)
        for other in new[len(old) :]:
            yield Difference(told(inner), "extra", ABSENT, other)


def _equal(left: float, right: float) -> bool:
    """Two numbers, but for the last digit of a float, of which a large integer has none."""
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    whole, number = (left, right) if isinstance(left, int) else (right, left)
    if isinstance(whole, int) and abs(whole) > EXACT:
        # A float is written with the shortest digits that are read as it, or with all: both are its value.
        return math.isfinite(number) and (int(number) == whole or Decimal(repr(number)) == whole)
    return abs(left - right) <= LAST_DIGIT * max(abs(left), abs(right))


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    form = shape(value)
    return "array" if form == "empty array" else form


def _is_data(names: list[str]) -> bool:
    return all(shape(name).startswith(STRICT_KEYS) for name in names)


def _text(value: Any) -> str:
    """Equal for values that mean the same."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _identity(left: list[Any], right: list[Any]) -> str | None:
    """The name of the member that tells the items of two arrays apart, and that most of them share."""
    if not left or not right:
        return None
    items = [*left, *right]
    if not all(isinstance(each, dict) for each in items):
        return None
    best, most = None, 0
    for name in left[0]:
        if not all(isinstance(each.get(name), str | int) for each in items):
            continue
        old, new = {_text(each[name]) for each in left}, {_text(each[name]) for each in right}
        common = len(old & new)
        if len(old) == len(left) and len(new) == len(right) and common > most:
            best, most = name, common
    return best if 2 * most >= min(len(left), len(right)) else None
