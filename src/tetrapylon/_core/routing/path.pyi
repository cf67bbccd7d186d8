"""Paths: the one spelling that is matched and forwarded (RFC 3986 3.3, 5.2.4, 6.2.2)."""

class BadPath(ValueError):
    """A path that no request may carry; a gateway answers it with 400."""

    path: str
    reason: str
    def __init__(self, path: str, reason: str) -> None: ...

def normalise_path(path: str | bytes, /) -> str:
    """The normal form of a raw path (without its query); normal paths come back unchanged.

    - Dot segments are resolved, never above the root; `%2e` counts as a dot.
    - Percent-encoded unreserved characters are decoded, once; other escapes stay, with upper-case digits. So
      `%2F` and `%5C` separate nothing and `%252e` is not a dot.
    - Repeated slashes become one, before dot segments are resolved.
    - Raw bytes that a path cannot hold but that clients send (`"<>[]^|{}` and the backtick, anything beyond
      ASCII) are percent-encoded.

    Raises BadPath for a path that does not start with `/`, a `%` without two hexadecimal digits, NUL, encoded
    or not, a raw control character, space, `?`, `#` or backslash (some servers read it as a slash), and for a
    `.` or `..` segment with parameters (`/..;x/`: some servers drop the parameters and then climb).
    """
