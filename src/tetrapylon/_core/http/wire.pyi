"""Messages as HTTP/1 puts them on the wire (RFC 9112)."""

from collections.abc import Iterable

from typing_extensions import disjoint_base

@disjoint_base
class Additions:
    """Fields that requests to an upstream carry, whatever the client sent under their names."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """`headers`: names and values."""

@disjoint_base
class Via:
    """This gateway's name in Via (RFC 9110 section 7.6.3), which it also knows a loop by. ASCII."""

    def __init__(self, pseudonym: str) -> None: ...
