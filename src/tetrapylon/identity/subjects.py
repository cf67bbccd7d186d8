"""Subjects of client certificates: whose they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tetrapylon.config.model import Consumer
from tetrapylon.config.model.credentials import attributes
from tetrapylon.identity.consumers import Untellable, known

if TYPE_CHECKING:
    from tetrapylon._core.identity import Known
    from tetrapylon.config.model import Config

__all__ = ["finder", "problems"]

NAME = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


def finder(config: Config, settings: Any) -> Callable[[str], Known | None]:
    """Who a subject (RFC 4514) is by these settings: a consumer, somebody whom a rule lets in, or None."""
    owners = {
        tuple(attributes(subject)): consumer for consumer in config.consumers for subject in consumer.subjects
    }
    named = {consumer.name: consumer for consumer in config.consumers}
    rules = [
        [(kind, re.compile(value, re.DOTALL)) for kind, value in attributes(rule, patterns=True)]
        for rule in settings.allow
    ]

    def fits(parts: list[tuple[str, str]]) -> bool:
        return any(
            all(any(kind == other and value.fullmatch(text) for other, text in parts) for kind, value in rule)
            for rule in rules
        )

    def find(subject: str) -> Known | None:
        try:
            parts = attributes(subject)
        except ValueError:
            return None
        consumer = owners.get(tuple(parts))
        if consumer is None:
            if not fits(parts):
                return None
            name = next((text for kind, text in parts if kind == settings.name.upper()), subject)
            if NAME.fullmatch(name) is None:
                name = subject
            consumer = named.get(name) or Consumer(name=name)
        try:
            return known(consumer, settings.headers, subject=subject)
        except Untellable:
            return None

    return find


def problems(settings: Any, config: Config) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    if not settings.allow and not any(consumer.subjects for consumer in config.consumers if consumer.name):
        yield (), "no subject is let in", "give `allow`, or `subjects` to consumers"
    if not any(listener.tls is not None and listener.tls.client_ca for listener in config.server.listen):
        yield (), "no listener asks clients for a certificate", "give one of `server.listen` a `client_ca`"
