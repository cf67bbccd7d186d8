"""What differs between two answers of the same service: learned, so that it is no finding.

Noise is narrow. A time stamp that changes with each answer may change in the second service's answers too,
but it has to be there, and be a time stamp of the same form.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tetrapylon.diff.answer import Difference
from tetrapylon.diff.forms import is_data, magnitude, shape, tokens
from tetrapylon.diff.redact import hidden, is_private

__all__ = ["LONGEST", "MOST", "Noise", "Seen"]

MOST = 500
"""Places that are remembered for one route; those beyond stay findings."""
SHAPES = 32
"""Forms of one place."""

LARGE = 1000.0
"""From here on a number's magnitude means something: seconds are no milliseconds."""
MAGIC = 4
"""Bytes that tell a format."""
LONGEST = 200
"""Characters of a text whose steady words are remembered."""


class Phrase(msgspec.Struct):
    """A text with data in it: `made at 09:00:03 by worker 17`. Its words stay, its data are of a form."""

    words: list[str]
    """Its tokens, with nothing in place of those that vary."""
    forms: dict[int, set[str]] = {}
    """Of the tokens that vary, by their place."""

    def add(self, value: str) -> bool:
        """Whether the text is the same but for data."""
        found = tokens(hidden(value))
        if len(found) != len(self.words):
            return False
        new = [at for at, word in enumerate(self.words) if word != found[at]]
        if not all(is_data(found[at]) and (at in self.forms or is_data(self.words[at])) for at in new):
            return False
        for at in new:
            self.forms.setdefault(at, {shape(self.words[at])}).add(shape(found[at]))
            self.words[at] = ""
        return True

    def absorb(self, other: Phrase) -> bool:
        """Whether the two are the same but for data."""
        if len(other.words) != len(self.words):
            return False
        for at, (word, another) in enumerate(zip(self.words, other.words, strict=True)):
            if word == another:
                self.forms[at] = self.forms.get(at, set()) | other.forms.get(at, set())
                continue
            if not all(not each or is_data(each) for each in (word, another)):
                return False
            forms = self.forms.get(at, {shape(word)}) | other.forms.get(at, {shape(another)})
            self.words[at], self.forms[at] = "", forms
        self.forms = {at: forms for at, forms in self.forms.items() if forms}
        return True

    def covers(self, value: str) -> bool:
        found = tokens(hidden(value))
        return len(found) == len(self.words) and all(
            word == token or (at in self.forms and is_data(token) and _among(shape(token), self.forms[at]))
            for at, (word, token) in enumerate(zip(self.words, found, strict=True))
        )


def _among(form: str, forms: set[str]) -> bool:
    if form in forms:
        return True
    # A random token may happen to be all digits; a word may not become nothing.
    tokens = {"text", "digits", "date", "uuid", "ulid", "jwt"}
    return "text" in forms and (form in tokens or form.startswith("hex "))


class Seen(msgspec.Struct):
    """How one place varies."""

    count: int = 0
    shapes: set[str] = set()
    low: float = math.inf
    high: float = -math.inf
    phrase: Phrase | None = None
    """What all of its texts have in common, unless they are `free`."""
    free: bool = False
    """Texts of no common words, or bytes of no format: random ones begin otherwise each time."""

    def add(self, value: Any, *, private: bool = False) -> None:
        """Of what is private no words are kept."""
        form = shape(value)
        if form == "text" and not self.free:
            self._read(value, private=private)
        if len(self.shapes) < SHAPES:
            self.shapes.add(form)
        if form == "number":
            self.low = min(self.low, magnitude(value))
            self.high = max(self.high, magnitude(value))

    def absorb(self, other: Seen) -> None:
        """What was seen elsewhere."""
        self.count += other.count
        self.shapes = set(sorted(self.shapes | other.shapes)[:SHAPES])
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.free = self.free or other.free
        if self.phrase is None:
            self.phrase = other.phrase
        elif other.phrase is not None:
            self.free = not self.phrase.absorb(other.phrase) or self.free
        if self.free:
            self.phrase = None

    def covers(self, value: Any) -> bool:
        form = shape(value)
        if form == "number":
            return form in self.shapes and self._near(magnitude(value))
        if form == "text" and self.phrase is not None:
            return self.phrase.covers(value)
        return _among(form, self.shapes)

    def _read(self, value: str, *, private: bool) -> None:
        if private or len(value) > LONGEST:
            self.free = True
        elif self.phrase is None:
            self.phrase = Phrase(tokens(hidden(value)))
        else:
            self.free = not self.phrase.add(value)
        if self.free:
            self.phrase = None

    def _near(self, value: float) -> bool:
        if value < 0 <= self.low:
            return False
        most = 10 * max(abs(self.low), abs(self.high), 1.0)
        least = self.low / 10 if self.low >= LARGE else -math.inf
        return abs(value) <= most and value >= least


def _alike(left: Any, right: Any, *, free: bool) -> bool:
    """Bytes that vary: of one format, by how they begin, and not of quite another length. `free`: of none."""
    if not isinstance(left, bytes) or not isinstance(right, bytes):
        return isinstance(right, bytes)
    begin = free or left[:MAGIC] == right[:MAGIC]
    return begin and len(left) <= 2 * len(right) and len(right) <= 2 * len(left)


KINDS = {"missing": "presence", "extra": "presence", "type": "value"}


class Noise:
    """Of one route."""

    def __init__(self, seen: dict[tuple[str, str], Seen] | None = None) -> None:
        self.seen = {} if seen is None else seen

    def __bool__(self) -> bool:
        return bool(self.seen)

    def learn(self, found: Difference) -> None:
        """A difference between two answers of the same service."""
        key = found.where, KINDS.get(found.kind, found.kind)
        seen = self.seen.get(key)
        if seen is None:
            if len(self.seen) >= MOST:
                return
            seen = self.seen[key] = Seen()
        seen.count += 1
        if found.kind == "status":
            seen.shapes |= {str(found.left), str(found.right)}
        else:
            if found.kind == "bytes" and isinstance(found.left, bytes) and isinstance(found.right, bytes):
                seen.free = seen.free or found.left[:MAGIC] != found.right[:MAGIC]
            private = is_private(found.where)
            seen.add(found.left, private=private)
            seen.add(found.right, private=private)

    def orderless(self, where: str) -> bool:
        return (where, "order") in self.seen

    def explains(self, found: Difference) -> bool:
        where, kind = found.where, KINDS.get(found.kind, found.kind)
        seen = self.seen.get((where, kind))
        if seen is None:
            return False
        if kind in ("presence", "order"):
            return True
        if kind == "bytes":
            return _alike(found.left, found.right, free=seen.free)
        if kind == "status":
            return found.right < 500 and str(found.right) in seen.shapes
        if kind == "length":
            return seen.covers(found.right) and (found.right != 0 or seen.low == 0)
        return seen.covers(found.right)
