"""What msgspec says of types."""

from __future__ import annotations

from msgspec import inspect as shapes

__all__ = ["bare"]


def bare(info: shapes.Type) -> shapes.Type:
    """Without metadata, and without `| None` where one type is left."""
    while True:
        if isinstance(info, shapes.Metadata):
            info = info.type
        elif isinstance(info, shapes.UnionType):
            rest = [each for each in info.types if not isinstance(each, shapes.NoneType)]
            if len(rest) != 1:
                return info
            info = rest[0]
        else:
            return info
