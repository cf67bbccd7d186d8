"""What `forward_auth` makes of a service's yes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tetrapylon.config.model import Consumer
from tetrapylon.config.model.credentials import GROUP, NAME
from tetrapylon.identity.bearers import host_of
from tetrapylon.identity.consumers import by_name, known

if TYPE_CHECKING:
    from tetrapylon._core.identity import Known
    from tetrapylon.config.model import Config

__all__ = ["host", "knows", "problems"]

Headers = Sequence[tuple[bytes, bytes]]


def host(settings: Any, config: Config) -> bytes:
    """The Host that the service is asked for."""
    return (settings.host or host_of(config, settings.upstream)).encode()


def knows(settings: Any, config: Config) -> Callable[[Headers], Known | None]:
    """Who the header fields of a yes say that it is."""
    named = by_name(config)

    def value(headers: Headers, name: str | None) -> str:
        wanted = None if name is None else name.lower().encode()
        return next((text.decode("latin-1") for field, text in headers if field.lower() == wanted), "")

    def know(headers: Headers) -> Known | None:
        name = value(headers, settings.consumer)
        if NAME.fullmatch(name) is None:
            return None
        groups = [group.strip() for group in value(headers, settings.groups).split(",")]
        return known(
            named.get(name) or Consumer(name=name),
            settings.headers,
            groups=[group for group in groups if GROUP.fullmatch(group)],
        )

    return know


def problems(settings: Any, config: Config) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    if settings.upstream not in config.upstreams:
        known_ones = ", ".join(sorted(config.upstreams)[:10]) or "one in `upstreams`"
        yield ("upstream",), f"there is no upstream {settings.upstream!r}", f"expected {known_ones}"
    if settings.groups is not None and settings.consumer is None:
        yield ("groups",), "groups are a consumer's", "give the field that names it as `consumer`"
    for index, name in enumerate(settings.copy):
        if name.lower() in UNTOLD:
            yield ("copy", index), f"{name} says something else of a request", "leave it out"


UNTOLD = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "date",
        "host",
        "server",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
