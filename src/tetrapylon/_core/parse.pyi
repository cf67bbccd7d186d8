"""Bytes to events: which backend reads messages, and parsers made by it.

llhttp's own C callbacks where the installed httptools has them as declared, else httptools' public API. Both
take and refuse the same messages. The environment variable TETRAPYLON_PARSER, `llhttp` or `httptools`, asks
for one of them: for diagnosis.
"""

from typing import Literal, TypeAlias

from tetrapylon._core.message import Limits

_Lines: TypeAlias = list[tuple[bytes, bytes]]
_Event: TypeAlias = (
    tuple[Literal["head"], bytes, bytes, int, _Lines, bool]
    | tuple[Literal["head"], int, bytes, int, _Lines, bool]
    | tuple[Literal["body"], bytes]
    | tuple[Literal["end"], _Lines]
    | tuple[Literal["more", "malformed", "target too long", "head too large", "truncated"]]
)

misfit: str | None
"""Why llhttp's callbacks cannot be used with the installed httptools, or None."""

def backend() -> Literal["llhttp", "httptools"]:
    """The backend of parsers made from now on."""

def use_backend(name: str) -> None:
    """Chooses the backend of parsers made from now on.

    Raises RuntimeError for `llhttp` where it doesn't fit, ValueError for a name that is none.
    """

def feed(
    kind: str, pieces: list[bytes | None], *, no_body: bool = False, limits: Limits | None = None
) -> list[_Event]:
    """Runs pieces of a connection's bytes through a fresh parser, for tests and fuzzing.

    `kind` is "request" or "response", None among the pieces the end of input, `no_body` whether the responses
    answer HEAD. The events, in order:

    - `("head", method, target, minor, lines, ended)` of a request,
      `("head", status, reason, minor, lines, ended)` of a response; `minor` as in HTTP/1.minor, `ended` when
      no body follows, and then no "end" does;
    - `("body", bytes)`, cut where the pieces are;
    - `("end", trailers)`;
    - `("malformed",)`, `("target too long",)`, `("head too large",)`: refused, and the rest is not read;
    - at the end of input `("truncated",)` within a message, `("more",)` between two.

    Raises ValueError for another kind.
    """
