"""What tells two configs apart, route by route."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from tetrapylon.config.model import Config

__all__ = ["Changes", "Detail", "Difference", "differences", "differences_shown", "excerpt", "summary"]

DEFAULT = "(default)"


class Detail(msgspec.Struct, frozen=True):
    """One value that differs, as a file would have it; secrets are masked on both sides."""

    path: str
    old: Any
    new: Any


class Difference(msgspec.Struct, frozen=True):
    """A route or an upstream that is new, gone or changed."""

    what: str
    """`added`, `removed` or `changed`."""
    name: str
    details: tuple[Detail, ...] = ()


class Changes(msgspec.Struct, frozen=True):
    """All that differs. Empty where nothing does."""

    routes: tuple[Difference, ...] = ()
    upstreams: tuple[Difference, ...] = ()
    settings: tuple[Detail, ...] = ()
    left_out: int = 0
    """How many more there were, where this is an excerpt."""


MOST_KEPT = 100
LONGEST_KEPT = 300


def excerpt(changes: Changes) -> Changes:
    """What is kept of them: at most MOST_KEPT of each sort and of each one's details, values cut short."""
    kept = Changes(
        routes=tuple(map(_excerpt, changes.routes[:MOST_KEPT])),
        upstreams=tuple(map(_excerpt, changes.upstreams[:MOST_KEPT])),
        settings=tuple(map(_cut, changes.settings[:MOST_KEPT])),
    )
    sorts = ((getattr(changes, name), getattr(kept, name)) for name in ("routes", "upstreams", "settings"))
    return msgspec.structs.replace(kept, left_out=sum(len(all_) - len(some) for all_, some in sorts))


def _excerpt(difference: Difference) -> Difference:
    return msgspec.structs.replace(difference, details=tuple(map(_cut, difference.details[:MOST_KEPT])))


def _cut(detail: Detail) -> Detail:
    return Detail(detail.path, _short(detail.old), _short(detail.new))


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return value if len(text) <= LONGEST_KEPT else text[:LONGEST_KEPT] + "..."


def differences(old: Config, new: Config) -> Changes:
    """From `old` to `new`."""
    return _changes(_Of(old), _Of(new))


def differences_shown(old: Mapping[str, Any], new: Mapping[str, Any]) -> Changes:
    """As `differences`, of configs as `mask.masked` shows them: secrets that differ are not noticed."""
    return _changes(_OfShown(old), _OfShown(new))


def _changes(old: _Side, new: _Side) -> Changes:
    return Changes(
        routes=tuple(_of_routes(old, new)),
        upstreams=tuple(_of_upstreams(old, new)),
        settings=() if old.rest == new.rest else _details(old.rest, new.rest, old.shown_rest, new.shown_rest),
    )


def summary(changes: Changes) -> str:
    """`routes: 2 added, 1 changed; upstreams: 1 removed; settings: 3 changed`, or `nothing changed`."""
    parts = []
    for noun, found in (("routes", changes.routes), ("upstreams", changes.upstreams)):
        counts = [
            f"{count} {what}"
            for what in ("added", "removed", "changed")
            if (count := sum(each.what == what for each in found))
        ]
        if counts:
            parts.append(f"{noun}: {', '.join(counts)}")
    if changes.settings:
        parts.append(f"settings: {len(changes.settings)} changed")
    return "; ".join(parts) or "nothing changed"


class _Side:
    """One of the two: what is compared, and as `shown` what may be told of it."""

    routes: Sequence[Any]
    upstreams: Mapping[str, Any]
    rest: Any
    shown: Mapping[str, Any]

    @property
    def shown_rest(self) -> dict[str, Any]:
        return {key: value for key, value in self.shown.items() if key not in ("routes", "upstreams")}

    def parts(self, index: int) -> _Parts:
        raise NotImplementedError

    @cached_property
    def places(self) -> dict[Hashable, int]:
        """Where each route stands, by what it takes."""
        return {self.parts(index)[:-1]: index for index in range(len(self.routes))}

    def title(self, index: int) -> str:
        parts = self.parts(index)
        headers = "".join(f" {name}: {value}" for name, value in parts.headers)
        return f"{','.join(parts.methods) or '*'} {parts.host or ''}{parts.path}{headers}"


class _Parts(NamedTuple):
    host: str | None
    path: str
    methods: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    name: str | None


class _Of(_Side):
    def __init__(self, config: Config) -> None:
        self._config = config
        # Without the place in the file, which moves for no reason of its own.
        self.routes = [msgspec.structs.replace(route, at="") for route in config.routes]
        # Of a hosted app, `apps` tells all that there is.
        self.upstreams = {name: each for name, each in config.upstreams.items() if not each.app}
        self.rest = msgspec.structs.replace(config, routes=(), upstreams={}, filled={}, files=(), patterns=())

    @cached_property
    def shown(self) -> Mapping[str, Any]:  # type: ignore[override]
        from tetrapylon.config.mask import masked

        return masked(self._config)

    def parts(self, index: int) -> _Parts:
        route = self.routes[index]
        return _Parts(route.host, route.path, route.methods, tuple(sorted(route.headers.items())), route.name)


class _OfShown(_Side):
    def __init__(self, shown: Mapping[str, Any]) -> None:
        self.shown = shown
        self.routes = shown.get("routes", [])
        self.upstreams = shown.get("upstreams", {})
        self.rest = self.shown_rest

    def parts(self, index: int) -> _Parts:
        route = self.routes[index]
        return _Parts(
            route.get("host"),
            route["path"],
            tuple(route.get("methods", ())),
            tuple(sorted(route.get("headers", {}).items())),
            route.get("name"),
        )


def _of_routes(old: _Side, new: _Side) -> Iterator[Difference]:
    left = dict(old.places)
    names = {old.parts(index).name: key for key, index in left.items() if key not in new.places}
    for key, index in new.places.items():
        name = new.parts(index).name
        was = key if key in left else names.pop(name, None) if name else None
        if was is None:
            yield Difference("added", new.title(index))
            continue
        before = left.pop(was)
        if old.routes[before] != new.routes[index]:
            shown = old.shown["routes"][before], new.shown["routes"][index]
            details = _details(old.routes[before], new.routes[index], *shown)
            yield Difference("changed", new.title(index), details)
    for index in left.values():
        yield Difference("removed", old.title(index))


def _of_upstreams(old: _Side, new: _Side) -> Iterator[Difference]:
    before, after = old.upstreams, new.upstreams
    for name in {**before, **after}:
        if name not in before or name not in after:
            yield Difference("added" if name in after else "removed", name)
        elif before[name] != after[name]:
            shown = old.shown["upstreams"][name], new.shown["upstreams"][name]
            yield Difference("changed", name, _details(before[name], after[name], *shown))


def _details(old: Any, new: Any, old_shown: Any, new_shown: Any) -> tuple[Detail, ...]:
    found = tuple(_walk(old_shown, new_shown, ""))
    if not found and old != new:
        from tetrapylon.config.secrets import MASK

        return (Detail("(a secret)", MASK, MASK),)
    return found


def _walk(old: Any, new: Any, path: str) -> Iterator[Detail]:
    if old == new:
        return
    if isinstance(old, Mapping) and new == DEFAULT:
        new = {}
    if isinstance(new, Mapping) and old == DEFAULT:
        old = {}
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            inner = f"{path}.{key}" if path else str(key)
            yield from _walk(old.get(key, DEFAULT), new.get(key, DEFAULT), inner)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (was, now) in enumerate(zip(old, new, strict=True)):
            yield from _walk(was, now, f"{path}[{index}]")
    else:
        yield Detail(path, old, new)
