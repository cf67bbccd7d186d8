"""Where the requests go that the policy `record` takes."""

from __future__ import annotations

from typing import Annotated

from tetrapylon.config.model.base import Section, Text, doc
from tetrapylon.config.units import Size


class Record(Section, frozen=True, kw_only=True):
    """Where recorded requests are kept."""

    file: Annotated[
        Text, doc("A file of JSON lines, made when it is needed; the one before it is `FILE.1`.")
    ] = "requests.jsonl"
    size: Annotated[
        Size, doc("How large both files may become together; the oldest requests go first.", ge=65536)
    ] = 67108864
