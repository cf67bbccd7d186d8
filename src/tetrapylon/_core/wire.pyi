"""Messages as HTTP/1 puts them on the wire (RFC 9112)."""

from typing_extensions import disjoint_base

@disjoint_base
class Via:
    """This gateway's name in Via (RFC 9110 section 7.6.3), which it also knows a loop by. ASCII."""

    def __init__(self, pseudonym: str) -> None: ...
