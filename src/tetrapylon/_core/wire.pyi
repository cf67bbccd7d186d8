"""Messages as HTTP/1 puts them on the wire (RFC 9112)."""

class Via:
    """This gateway's name in Via (RFC 9110 section 7.6.3), which it also knows a loop by.

    Raises UnicodeEncodeError for a name that is not ASCII.
    """

    def __init__(self, pseudonym: str) -> None: ...
