"""Plugins: what a class of the user's may look like, and how its hooks are bound.

    class Tenant:
        class Settings(msgspec.Struct, frozen=True):
            default: str = "public"

        def __init__(self, settings: Settings) -> None: ...

        def on_request(self, request: Request) -> Response | None: ...

The hooks, all optional: `on_start(shared)` and `on_stop(shared)` once a worker; `on_request(request)` or
`on_request(request, body)`, `on_response_head(request, response)`, `on_body(request, piece)`,
`on_response(request, response)` and `on_end(request, outcome)` for each exchange.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

import msgspec

from tetrapylon.code.load import load_object, place_of
from tetrapylon.errors import LoadError

__all__ = ["HOOKS", "PluginKind", "read_plugin"]

HOOKS: dict[str, tuple[str, ...]] = {
    "on_start": ("shared",),
    "on_stop": ("shared",),
    "on_request": ("request",),
    "on_response_head": ("request", "response"),
    "on_body": ("request", "piece"),
    "on_response": ("request", "response"),
    "on_end": ("request", "outcome"),
}


class _None(msgspec.Struct, frozen=True):
    """The settings of a plugin without any."""


@dataclass(frozen=True, slots=True)
class PluginKind:
    """A plugin's class, found fit."""

    name: str
    cls: type
    settings: type[msgspec.Struct]
    hooks: frozenset[str]
    takes_body: bool
    """`on_request` has a second parameter: the whole body."""
    waits: frozenset[str]
    """Hooks that are coroutines."""

    def make(self, settings: msgspec.Struct) -> Any:
        """An instance. What its `__init__` raises is not caught."""
        return self.cls(settings) if hasattr(self.cls, "Settings") else self.cls()

    def bound_to_the_loop(self) -> str | None:
        """A hook that no other process can run: it waits, shares objects, or has the body in pieces."""
        bound = self.waits | (self.hooks & {"on_start", "on_stop", "on_body"})
        return min(bound, default=None)


_kinds: dict[str, PluginKind] = {}


def read_plugin(reference: str) -> PluginKind:
    """The plugin that `module:Class` names. Raises LoadError, with the place in the source."""
    cls = load_object(reference)
    known = _kinds.get(reference)
    if known is not None and known.cls is cls:
        return known
    where = place_of(cls)
    if not inspect.isclass(cls):
        hint = "name the class itself" if callable(cls) else ""
        raise LoadError(f"{reference} is of type {type(cls).__name__}, and a plugin is a class", hint, where)
    settings = getattr(cls, "Settings", _None)
    if not (inspect.isclass(settings) and issubclass(settings, msgspec.Struct)):
        raise LoadError(f"{reference}.Settings is no msgspec Struct", "derive it from msgspec.Struct", where)
    hooks = {name for name in HOOKS if hasattr(cls, name)}
    for name in dir(cls):
        if name.startswith("on_") and name not in HOOKS and callable(getattr(cls, name)):
            close = get_close_matches(name, HOOKS, 1, 0.5)
            hint = f"did you mean {close[0]}?" if close else f"hooks are {', '.join(HOOKS)}"
            raise LoadError(f"{reference} has {name}, which is no hook", hint, place_of(getattr(cls, name)))
    if not hooks:
        raise LoadError(f"{reference} has no hook", f"expected one of {', '.join(HOOKS)}", where)
    takes_body = False
    for name in sorted(hooks):
        takes_body = _check_hook(reference, name, getattr(cls, name)) or takes_body
    waits = frozenset(name for name in hooks if inspect.iscoroutinefunction(getattr(cls, name)))
    if {"on_body", "on_response"} <= hooks:
        raise LoadError(f"{reference} has on_body and on_response", "the second has the body whole", where)
    kind = PluginKind(reference, cls, settings, frozenset(hooks), takes_body, waits)
    _check_init(kind, where)
    _kinds[reference] = kind
    return kind


def _check_hook(reference: str, name: str, hook: Any) -> bool:
    """Does it take the arguments that it will be given? True: `on_request` takes the body too."""
    expected = HOOKS[name]
    where = place_of(hook)
    if not callable(hook):
        raise LoadError(f"{reference}.{name} is of type {type(hook).__name__}", "expected a method", where)
    if inspect.isasyncgenfunction(hook) or inspect.isgeneratorfunction(hook):
        raise LoadError(f"{reference}.{name} is a generator", "return None or a Response", where)
    signature = inspect.signature(hook)
    options = [expected] + ([(*expected, "body")] if name == "on_request" else [])
    for given in reversed(options):
        try:
            signature.bind(None, *given)
        except TypeError:
            continue
        return len(given) > len(expected)
    shown = ", ".join(("self", *expected))
    raise LoadError(f"{reference}.{name}{signature} cannot be called", f"expected {name}({shown})", where)


def _check_init(kind: PluginKind, where: str) -> None:
    given = (None,) if hasattr(kind.cls, "Settings") else ()
    try:
        inspect.signature(kind.cls).bind(*given)
    except (TypeError, ValueError) as error:
        hint = "expected __init__(self, settings)" if given else "expected no arguments, or a Settings Struct"
        raise LoadError(f"{kind.name} cannot be made: {error}", hint, where) from None


def both(
    head: Callable[..., Any] | None, whole: Callable[..., Any] | None, waits: bool
) -> Callable[..., Any] | None:
    """`on_response` behind `on_response_head`, where a plugin has both: they meet one complete response."""
    if head is None or whole is None:
        return whole
    if not waits:

        def plain(request: Any, response: Any) -> Any:
            answer = head(request, response)
            return whole(request, response) if answer is None else answer

        return plain

    async def waiting(request: Any, response: Any) -> Any:
        answer = await _settled(head(request, response))
        return await _settled(whole(request, response)) if answer is None else answer

    return waiting


async def _settled(result: Any) -> Any:
    return await result if inspect.iscoroutine(result) else result


def in_thread(hook: Callable[..., Any], run: Callable[[Callable[[], Any]], Any]) -> Callable[..., Any]:
    """The hook as a coroutine that waits for `run`, which works elsewhere."""

    async def elsewhere(*arguments: Any, **named: Any) -> Any:
        return await run(partial(hook, *arguments, **named))

    return elsewhere
