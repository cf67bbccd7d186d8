"""What a line of the access log says."""

from collections.abc import Iterable
from typing import Literal, Self, final

@final
class LineFormat:
    """One JSON object, or the combined format of Apache and nginx; a log has one of its own.

    In JSON, `headers` and `response_headers` name further fields to write, as
    `"headers":{"X-Tenant":"acme"}`, as far as the line's 4096 bytes reach. In targets and referers the
    values of `secret_parameters` are written as `***`, whatever the case and escapes of their names; so are
    those of `secret_headers`.
    """

    def __new__(
        cls,
        style: Literal["json", "combined"] = "json",
        *,
        headers: Iterable[str] = (),
        response_headers: Iterable[str] = (),
        secret_headers: Iterable[str] = (),
        secret_parameters: Iterable[str] = (),
    ) -> Self:
        """Raises ValueError for another style, and for a parameter's name of more than 63 characters."""
