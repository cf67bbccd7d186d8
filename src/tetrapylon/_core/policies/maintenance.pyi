"""`maintenance`: a route that is closed for a while, and for whom it is open all the same."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc
from tetrapylon.config.net import Cidr, HeaderValue
from tetrapylon.config.units import Duration

class Settings(Struct, frozen=True, kw_only=True):
    """Answers 503 with `Retry-After` in the route's place, until a reload says otherwise."""

    enabled: Annotated[bool, doc("Whether the route is closed.")] = True
    retry_after: Annotated[
        Annotated[Duration, Meta(ge=1)], doc("When to come back: `Retry-After`, in whole seconds.")
    ] = 300.0
    allow: Annotated[tuple[Cidr, ...], doc("Clients for whom it is open: those who try it out.")] = ()
    detail: Annotated[str, doc("What the answer tells people.")] = (
        "This is being worked on. Please try again later."
    )
    body: Annotated[str, doc("A page to answer with in place of the gateway's own error.")] = ""
    content_type: Annotated[HeaderValue, doc("`Content-Type` of that page.", min_length=1)] = (
        "text/html; charset=utf-8"
    )

_Settings = Settings

@disjoint_base
class Maintenance(Policy):
    """Closes a route for a while."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ...) -> None: ...
