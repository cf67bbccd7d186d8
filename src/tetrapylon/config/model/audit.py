"""Settings of `tetrapylon audit` in the config itself."""

from __future__ import annotations

from typing import Annotated

from tetrapylon.config.model.base import Section, Text, doc


class AuditIgnore(Section, frozen=True, kw_only=True):
    """A rule of `tetrapylon audit` that is ignored."""

    rule: Annotated[Text, doc("The rule's id.")]
    at: Annotated[str, doc("The path that it is ignored at, and below; everywhere when left out.")] = ""
    because: Annotated[Text, doc("The reason.")]


class Audit(Section, frozen=True, kw_only=True):
    """Settings of `tetrapylon audit`; comments in the file can say the same."""

    ignore: Annotated[tuple[AuditIgnore, ...], doc("Rules that are ignored, each with a reason.")] = ()
