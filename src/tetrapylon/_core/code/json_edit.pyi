"""JSON text changed without being decoded: members picked, dropped and renamed, values found by their path.

A path is names with dots between them, `address.city`; a dot in a name is written `\\.`. A path goes through
arrays into each of their items.
"""

from collections.abc import Iterable, Mapping
from typing import final

@final
class Edit:
    """What is to become of a JSON text. Made once, by `make_edit`."""

def make_edit(
    pick: Iterable[str] = (), drop: Iterable[str] = (), rename: Mapping[str, str] | None = None
) -> Edit | None:
    """What is picked, dropped and renamed, by path; None: nothing is to be changed.

    With `pick`, all that it does not name goes; what is no object where members were picked becomes null.
    Paths name what is there before the change. Where a new name is taken already, who had it gives way.
    """

def check(text: bytes) -> bytes:
    """The text without blanks around it. Raises ValueError for what is not one JSON value in UTF-8."""

def edit(edit: Edit, text: bytes) -> bytes:
    """Checked JSON, changed."""

def default(text: bytes, path: tuple[bytes, ...], value: bytes) -> bytes:
    """Checked JSON with `value`, JSON too, at a path where there is nothing; what is no object stays."""

def split(path: str) -> tuple[bytes, ...]:
    """The names of a path, as UTF-8."""

def value_at(text: bytes, path: tuple[bytes, ...]) -> bytes | None:
    """The text of the value at a path in checked JSON, numbers counting items; None where there is none."""

def members(text: bytes) -> dict[bytes, bytes]:
    """The members of an object, name and value as JSON; of equal names the last counts.

    Raises ValueError for what is no object.
    """
