"""Answers that the gateway gives itself."""

from __future__ import annotations

from typing import Annotated

from tetrapylon.config.model.base import Section, doc
from tetrapylon.config.net import HeaderName, HeaderValue


class Respond(Section, frozen=True, kw_only=True):
    """An answer that the gateway gives itself."""

    status: Annotated[int, doc("The status code.", ge=200, le=599)] = 200
    body: Annotated[str, doc("The body, as UTF-8.")] = ""
    content_type: Annotated[HeaderValue, doc("`Content-Type` of the body.", min_length=1)] = (
        "text/plain; charset=utf-8"
    )
    headers: Annotated[dict[HeaderName, HeaderValue], doc("Further header fields.")] = {}
