"""Bytes to events: the choice of the backend, and parsers made by it."""

from typing import Literal

from tetrapylon._core.http.message import Limits

llhttp_misfit: str | None
misfit: str | None
"""Why llhttp is not called directly, but through httptools' public API; None if it is."""

def backend() -> Literal["llhttp", "httptools"]:
    """The backend that new parsers are made by."""

def use_backend(name: str) -> None:
    """Chooses the backend of new parsers. Raises ValueError for an unknown one, RuntimeError for a misfit."""

def feed(
    kind: Literal["request", "response"],
    pieces: list[bytes] | list[bytes | None],
    *,
    no_body: bool = False,
    limits: Limits | None = None,
) -> list[tuple[object, ...]]:
    """Runs bytes, piece by piece, through a fresh parser, for tests and fuzzing; None is the end of input.

    The events: `("head", method, target, minor, [(name, value)], ended)` or `("head", status, reason, minor,
    [(name, value)], ended)`, `("body", data)`, `("end", [(name, value) of trailers])`, and, as the last one,
    `("malformed",)`, `("target too long",)`, `("head too large",)` or `("truncated",)`.
    """
