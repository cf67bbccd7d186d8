"""The user's own Python in a config: handlers, plugins, and what they share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from tetrapylon.config.model.base import Section, Text, Timeout, doc
from tetrapylon.config.model.respond import Respond
from tetrapylon.config.units import Size


class HandlerUse(Section, frozen=True, kw_only=True):
    """A function of yours that answers; a bare string is its `call`."""

    shorthand: ClassVar[str] = "call"

    call: Annotated[Text, doc("The function, as `module:name`; its signature says what it takes.")]
    run_in: Annotated[
        Literal["loop", "thread", "process"],
        doc(
            "Where it runs: `thread` is for a plain function that blocks, `process` for one that computes; "
            "the loop is not kept waiting."
        ),
    ] = "loop"


class PluginOptions(Section, frozen=True, kw_only=True):
    """What stands beside the settings of any plugin."""

    timeout: Annotated[
        Timeout | None, doc("A hook that waits may take so long; longer: as if it had failed, with 504.")
    ] = 5.0
    run_in: Annotated[
        Literal["loop", "thread", "process"],
        doc(
            "Where its plain hooks run: `thread` is for those that block, `process` for those that compute, "
            "on a copy of the request; the loop is not kept waiting."
        ),
    ] = "loop"
    on_error: Annotated[
        Literal["refuse", "continue"],
        doc("Where it fails: the request is refused with 500, or goes on as if it had said nothing."),
    ] = "refuse"
    fallback: Annotated[
        Respond | None, doc("What is answered where it fails or takes too long, in place of 500 or 504.")
    ] = None
    body_limit: Annotated[
        Size, doc("Bodies that its hooks want whole; larger: 413 for a request's, 502 for a response's.")
    ] = 2**20


class Docs(Section, frozen=True, kw_only=True):
    """The OpenAPI document of all handlers, made from their signatures, and a page that shows it."""

    path: Annotated[Text, doc("Where the document is served.")] = "/openapi.json"
    page: Annotated[Text | None, doc("Where the page is served; `none`: nowhere.")] = "/docs"
    title: Annotated[Text, doc("The title of the API.")] = "API"
    version: Annotated[Text, doc("The version of the API.")] = "1.0.0"
