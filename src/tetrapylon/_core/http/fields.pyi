"""Values of header fields: lists, parameters, numbers and dates (RFC 9110 section 5.6)."""

def date_seconds(text: bytes) -> int | None:
    """Seconds since 1970 in an HTTP date of any of the three forms; None: it is none."""
