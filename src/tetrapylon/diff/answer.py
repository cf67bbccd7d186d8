"""What is compared, and what comes of it (leaf)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

__all__ = ["ABSENT", "Answer", "Difference"]


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """One response as it came. `fault` is why there is none; `status` is 0 then."""

    status: int
    headers: list[tuple[bytes, bytes]] = []
    body: bytes = b""
    fault: str = ""

    def values(self, name: str) -> list[str]:
        """Of all fields of that name (lower case), in order."""
        wanted = name.encode()
        return [value.decode("latin-1") for field, value in self.headers if field.lower() == wanted]

    def value(self, name: str) -> str:
        return ", ".join(self.values(name))


class _Absent:
    """In place of a value that one side does not have."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


class Difference(NamedTuple):
    """One place where the second answer is not as the first."""

    where: str
    """`answer`, `status`, `header NAME`, `body`, or the path of a value in it: `body items[].price`."""
    kind: str
    """`error`, `status`, `header`, `value`, `type`, `missing`, `extra`, `order`, `length`, `text`, `bytes`"""
    left: Any
    """The first answer's value; ABSENT where it has none."""
    right: Any

    @property
    def group(self) -> tuple[str, str]:
        """What differences are counted by."""
        return self.where, self.kind
