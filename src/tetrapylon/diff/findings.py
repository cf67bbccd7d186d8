"""What comparing came to: by route, differences grouped by place, each with a count and a few samples."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import msgspec

from tetrapylon.diff.answer import ABSENT, Answer, Difference
from tetrapylon.diff.compare import compare, learn
from tetrapylon.diff.forms import is_data, magnitude, shape, tokens
from tetrapylon.diff.noise import LONGEST, MOST, Noise, Seen
from tetrapylon.diff.redact import hidden, is_private, redacted_target, shown
from tetrapylon.diff.rules import Rules

__all__ = ["Findings", "Group", "Pair", "Route"]

GROUPS = 200
"""Places of one route; differences elsewhere are counted as one."""
SIGNATURES = 500
"""Sets of places that differ together."""
SAMPLES = 3
SHAPES = 16
PHRASES = 8
"""Of these forms, texts that are told apart by their words."""
MORE = "(more)"
"""In place of the forms of one place that are beyond SHAPES."""
OTHER = ("(elsewhere)", "other", MORE)

Place = tuple[str, str, str]
"""Where, of which kind, and of which form."""


class Pair(msgspec.Struct, frozen=True, array_like=True):
    """One request with the answers that are compared."""

    route: str
    method: str
    target: str
    primary: Answer
    second: Answer
    again: Answer | None = None
    """The primary's answer to the same request, sent once more."""


Batch = tuple[dict[str, int], list[tuple[str, bytes, bytes, Answer, Answer, Answer | None]]]
"""What a worker sends: how many pairs of each route were equal to the last byte, and those that were not, as
the fields of a Pair."""


class Group(msgspec.Struct):
    """Differences of one kind at one place."""

    where: str
    kind: str
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    forms: dict[str, Any] = {}
    """What the second side's values look like, with one of each: so noise that is learned later is told."""
    samples: list[dict[str, Any]] = []

    def add(self, found: Difference, pair: Pair, now: float) -> str:
        """The form that it is counted under."""
        self.count += 1
        self.first = self.first or now
        self.last = now
        if len(self.samples) < SAMPLES:
            self.samples.append(
                {
                    "time": now,
                    "method": pair.method,
                    "target": redacted_target(pair.target),
                    "primary": shown(found.left, found.where),
                    "second": shown(found.right, found.where),
                }
            )
        form, small = _form(found.right), _small(found.right)
        if form == "text" and not is_private(self.where) and len(found.right) <= LONGEST:
            text = hidden(found.right)
            phrase = f"text {_digest(text)}"
            if phrase in self.forms or sum(each.startswith("text ") for each in self.forms) < PHRASES:
                form, small = phrase, {"form": "text", "text": text}
        if form not in self.forms:
            if len(self.forms) >= SHAPES:
                return MORE
            self.forms[form] = small
        return form

    def absorb(self, other: Group) -> None:
        """The same place, elsewhere."""
        self.count += other.count
        self.first = min(self.first or other.first, other.first or self.first)
        self.last = max(self.last, other.last)
        self.samples = [*self.samples, *other.samples][:SAMPLES]
        for form, value in other.forms.items():
            if len(self.forms) < SHAPES:
                self.forms.setdefault(form, value)

    def real(self, noise: Noise) -> set[str]:
        """Forms that are not explained by what has been learned since."""
        real = {
            form
            for form, value in self.forms.items()
            if not noise.explains(Difference(self.where, self.kind, None, _whole(value)))
        }
        return real | {MORE}

    def is_noise(self, noise: Noise) -> bool:
        return len(self.forms) < SHAPES and self.real(noise) == {MORE} and bool(self.forms)


def _digest(text: str) -> str:
    """Equal for texts that differ in their data alone."""
    words = "\0".join("" if is_data(token) else token for token in tokens(text))
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _form(value: Any) -> str:
    form = shape(value)
    return f"number {magnitude(value):.0e}" if form == "number" else form


def _small(value: Any) -> Any:
    """Of the same form, and no larger or more telling than it must be."""
    if value is ABSENT:
        return {"absent": True}
    if isinstance(value, bytes):
        return {"bytes": True}
    if isinstance(value, str):
        form = shape(value)
        return {"form": form} if form != "empty" else ""
    if isinstance(value, list):
        return [0] if value else []
    if isinstance(value, dict):
        return {"form": "object"}
    return value


EXAMPLES = {
    "uuid": "00000000-0000-0000-0000-000000000001",
    "zero": "00000000-0000-0000-0000-000000000000",
    "date": "2000-01-01",
    "HTTP date": "Sat, 01 Jan 2000 00:00:00 GMT",
    "digits": "0",
    "ulid": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "jwt": "eyJ0.e30.x",
    "text": "x",
    "time T ": "2000-01-01T00:00:00",
    "time T Z": "2000-01-01T00:00:00Z",
    "time T offset": "2000-01-01T00:00:00+00:00",
    "time   ": "2000-01-01 00:00:00",
    "time   Z": "2000-01-01 00:00:00Z",
    "time   offset": "2000-01-01 00:00:00+00:00",
}


def _whole(value: Any) -> Any:
    """A value of the form that `_small` has kept."""
    if not isinstance(value, dict):
        return value
    if "absent" in value:
        return ABSENT
    if "bytes" in value:
        return b""
    form = value["form"]
    if "text" in value:
        return value["text"]
    if form.startswith("hex "):
        return "a" * int(form[4:])
    return EXAMPLES.get(form, {"x": 0})


class Route(msgspec.Struct):
    """Of one route. What was compared when is summed: `compared` since `since`."""

    name: str
    since: float = 0.0
    compared: int = 0
    groups: dict[tuple[str, str], Group] = {}
    signatures: dict[tuple[Place, ...], int] = {}
    """How often these places differed together in one pair."""
    noise: dict[tuple[str, str], Seen] = {}
    again: int = 0
    """Pairs of the primary with itself that noise was learned from."""

    def absorb(self, other: Route) -> None:
        """What was found elsewhere, or before."""
        self.since = min(self.since or other.since, other.since or self.since)
        self.compared += other.compared
        self.again += other.again
        for key, group in other.groups.items():
            room = key in self.groups or len(self.groups) < GROUPS
            self.groups.setdefault(key if room else OTHER[:2], Group(*(key if room else OTHER[:2]))).absorb(
                group
            )
        for places, count in other.signatures.items():
            # A form that has no room in its group is counted with those beyond.
            known = tuple(sorted({self._known(place) for place in places}))
            room = known in self.signatures or len(self.signatures) < SIGNATURES
            signature = known if room else (OTHER,)
            if not room:
                self.groups.setdefault(OTHER[:2], Group(*OTHER[:2]))
            self.signatures[signature] = self.signatures.get(signature, 0) + count
        for key, seen in other.noise.items():
            if key in self.noise:
                self.noise[key].absorb(seen)
            elif len(self.noise) < MOST:
                self.noise[key] = seen

    def _known(self, place: Place) -> Place:
        where, kind, form = place
        group = self.groups.get((where, kind))
        if group is None:
            return OTHER
        return place if form in group.forms else (where, kind, MORE)

    def different(self) -> int:
        """Pairs with a difference that is no noise, as far as is known by now."""
        noise = Noise(self.noise)
        real = {(*key, form) for key, group in self.groups.items() for form in group.real(noise)}
        return sum(count for keys, count in self.signatures.items() if any(key in real for key in keys))

    def told(self) -> dict[str, Any]:
        """For people and their scripts; the most frequent first."""
        noise = Noise(self.noise)
        groups = sorted(self.groups.values(), key=lambda group: (-group.count, group.where, group.kind))
        return {
            "route": self.name,
            "since": self.since,
            "compared": self.compared,
            "different": self.different(),
            "again": self.again,
            "differences": [
                {
                    "where": group.where,
                    "kind": group.kind,
                    "count": group.count,
                    "first": group.first,
                    "last": group.last,
                    "samples": group.samples,
                }
                for group in groups
                if not group.is_noise(noise)
            ],
            "noise": [
                {"where": where, "kind": kind, "count": seen.count, "forms": sorted(seen.shapes)}
                for (where, kind), seen in sorted(self.noise.items())
            ],
        }


class Findings:
    """Of all routes. Not for several threads at once."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.routes: dict[str, Route] = {}
        self.changed: set[str] = set()
        """Names of routes that have changed since somebody took them out."""
        self._clock = clock

    def route(self, name: str) -> Route:
        found = self.routes.get(name)
        if found is None:
            found = self.routes[name] = Route(name, since=self._clock())
        return found

    def same(self, name: str, count: int) -> None:
        """So many pairs were equal to the last byte, and somebody has seen to that already."""
        self.route(name).compared += count
        self.changed.add(name)

    def learn(self, pair: Pair, rules: Rules) -> None:
        """What the primary's own two answers teach."""
        if pair.again is None:
            return
        route = self.route(pair.route)
        route.again += 1
        noise = Noise(route.noise)
        learn(pair.primary, pair.again, rules, noise)
        self.changed.add(pair.route)

    def take(self, pair: Pair, rules: Rules) -> list[Difference]:
        """Learns from a pair, then compares it. The differences that are no noise."""
        self.learn(pair, rules)
        route = self.route(pair.route)
        route.compared += 1
        self.changed.add(pair.route)
        found = compare(pair.primary, pair.second, rules, Noise(route.noise))
        now = self._clock()
        places = {self._place(route, each, pair, now) for each in found}
        if places:
            signature = tuple(sorted(places))
            if signature not in route.signatures and len(route.signatures) >= SIGNATURES:
                signature = (OTHER,)
            route.signatures[signature] = route.signatures.get(signature, 0) + 1
            if signature == (OTHER,):
                route.groups.setdefault(OTHER[:2], Group(*OTHER[:2]))
        return found

    def _place(self, route: Route, found: Difference, pair: Pair, now: float) -> Place:
        key = found.group
        if key not in route.groups and len(route.groups) >= GROUPS:
            key = OTHER[:2]
            route.groups.setdefault(key, Group(*key)).add(found, pair, now)
            return OTHER
        return *key, route.groups.setdefault(key, Group(*key)).add(found, pair, now)

    def forget(self, name: str | None = None) -> None:
        """Begins anew, for one route or all."""
        for each in [name] if name is not None else list(self.routes):
            if self.routes.pop(each, None) is not None:
                self.changed.add(each)

    def told(self) -> list[dict[str, Any]]:
        return [self.routes[name].told() for name in sorted(self.routes)]
