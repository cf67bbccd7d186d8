"""What all parts of the config share: the base of its Structs, and types of their fields (leaf)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from tetrapylon.config.net import HeaderValue
from tetrapylon.config.secrets import repr_of
from tetrapylon.config.units import Duration

Text = Annotated[str, Meta(min_length=1)]
Timeout = Annotated[Duration, Meta(ge=0.001)]
Token = Annotated[HeaderValue, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]


def doc(text: str, **limits: Any) -> Meta:
    """A field's description, and the limits of its value (`ge`, `le`, `min_length` ...)."""
    return Meta(description=text, **limits)


def later(*values: str) -> Meta:
    """Values of the contract that a field does not take yet."""
    return Meta(extra={"later": values})


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all parts of the config share.

    `later` names keys of the contract whose mechanism this version lacks: they are refused by name.
    `shorthand` is the field that a bare string in place of the whole section fills.
    """

    later: ClassVar[frozenset[str]] = frozenset()
    shorthand: ClassVar[str] = ""

    def __repr__(self) -> str:
        """As a Struct's own, without what is secret by its name."""
        fields = (f"{name}={repr_of(name, getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({', '.join(fields)})"
