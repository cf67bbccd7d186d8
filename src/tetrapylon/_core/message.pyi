"""What an HTTP/1 message is, whichever backend reads it. Strict by RFC 9112."""

class Limits:
    """What one head may cost: `head` bytes of field lines, `headers` lines, `target` bytes of request target.

    Trailers are held to the same. Raises OverflowError for what does not fit 32 bits.
    """

    def __init__(self, *, head: int = 32768, headers: int = 100, target: int = 8192) -> None: ...
    @property
    def head(self) -> int: ...
    @property
    def headers(self) -> int: ...
    @property
    def target(self) -> int: ...

class Parser:
    """Bytes of one direction of a connection to events, one a call."""

class Backend:
    """Makes parsers."""
