"""APIs whose routes an OpenAPI document says."""

from __future__ import annotations

from typing import Annotated, Literal

from tetrapylon.config.model.base import Section, Text, doc
from tetrapylon.config.model.policy_use import PolicyUse
from tetrapylon.config.model.route import RouteLimits, RouteTimeouts
from tetrapylon.config.net import HostPattern


class Api(Section, frozen=True, kw_only=True):
    """A route for each operation of an OpenAPI 3 document, with a `validate` policy that holds it to that."""

    openapi: Annotated[Text, doc("The document, YAML or JSON, from the working directory.")]
    upstream: Annotated[Text, doc("The name of the upstream that answers.")]
    prefix: Annotated[
        str, doc("What stands before each path for clients; the upstream is sent the document's paths.")
    ] = ""
    host: Annotated[HostPattern | None, doc("The host it takes; all when left out.")] = None
    answers: Annotated[
        Literal["pass", "report", "enforce"],
        doc("What becomes of answers that are not what the document says; see `validate`."),
    ] = "pass"
    policies: Annotated[tuple[PolicyUse, ...], doc("Policies of each route, before validation.")] = ()
    limits: Annotated[RouteLimits, doc("Limits of each route.")] = RouteLimits()
    timeouts: Annotated[RouteTimeouts, doc("Timeouts of each route.")] = RouteTimeouts()
