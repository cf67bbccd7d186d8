"""Routes: which requests they take, their policies, and where they lead."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import UNSET, Meta, UnsetType

from tetrapylon.config.model.aggregate import Part, PartName
from tetrapylon.config.model.base import Section, Text, Timeout, doc
from tetrapylon.config.model.code import HandlerUse
from tetrapylon.config.model.move import Move
from tetrapylon.config.model.policy_use import PolicyUse
from tetrapylon.config.model.respond import Respond
from tetrapylon.config.model.shadow import Shadow
from tetrapylon.config.net import (
    BalanceKey,
    CookieName,
    HeaderName,
    HeaderValue,
    HostPattern,
    Line,
    Method,
)
from tetrapylon.config.units import Share, Size


class Redirect(Section, frozen=True, kw_only=True):
    """A redirect that the gateway answers with; a bare string is its `to`."""

    shorthand: ClassVar[str] = "to"

    to: Annotated[
        Text,
        doc("A path or URL; `{name}` stands for a parameter of the route's path."),
    ]
    status: Annotated[Literal[301, 302, 303, 307, 308], doc("The status code.")] = 308


class Branch(Section, frozen=True, kw_only=True):
    """One way of a split: with a `weight`, a share; without, the requests that it names."""

    upstream: Annotated[Text, doc("The name of the upstream.")]
    weight: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)] | None,
        doc("Its share of the requests that no branch names, relative to the other weights."),
    ] = None
    headers: Annotated[
        dict[HeaderName, HeaderValue], doc("Header fields that such a request carries, with their values.")
    ] = {}
    cookies: Annotated[dict[CookieName, str], doc("Cookies that it carries, with their values.")] = {}
    consumers: Annotated[tuple[Text, ...], doc("Consumers of which one has sent it.")] = ()


class Split(Section, frozen=True, kw_only=True):
    """A route that leads to several upstreams: a canary by weight, header, cookie or consumer."""

    to: Annotated[tuple[Branch, ...], doc("The branches; the first that names a request.", min_length=1)]
    by: Annotated[
        BalanceKey | None,
        doc(
            "What keeps a client on its branch: `client`, `path`, `header:NAME`, `cookie:NAME`, `query:NAME`;"
            " left out, each request is drawn anew."
        ),
    ] = None


class RouteLimits(Section, frozen=True, kw_only=True):
    """A route's own limits, over the server's."""

    body: Annotated[Size | UnsetType | None, doc("The request's body, `none` for no limit; larger: 413.")] = (
        UNSET
    )


class RouteTimeouts(Section, frozen=True, kw_only=True):
    """A route's own timeouts, over the server's and the upstream's."""

    body_idle: Annotated[
        Timeout | UnsetType, doc("Between two pieces of the request's body; longer: 408.")
    ] = UNSET
    body: Annotated[
        Timeout | UnsetType | None,
        doc("From a request's first byte to its last, however steadily; longer: 408."),
    ] = UNSET
    response: Annotated[
        Timeout | UnsetType | None, doc("From the request's end to the response's head; longer: 504.")
    ] = UNSET
    idle: Annotated[
        Timeout | UnsetType | None, doc("Between two pieces of the response's body; longer: it is cut.")
    ] = UNSET
    total: Annotated[
        Timeout | UnsetType | None, doc("The whole exchange; longer: 504, or cut once it has begun.")
    ] = UNSET
    tunnel: Annotated[
        Timeout | UnsetType | None,
        doc("A WebSocket, or another upgraded connection, on which nobody says a word."),
    ] = UNSET


class RouteLog(Section, frozen=True, kw_only=True):
    """What is written down of a route's requests, over `log.access`."""

    sample: Annotated[
        Share | UnsetType,
        doc("The share of answered requests to log. Errors are always logged; `0` logs them alone."),
    ] = UNSET


class Route(Section, frozen=True, kw_only=True):
    """Which requests to take, and where they go.

    One of `upstream`, `app`, `split`, `aggregate`, `handler`, `respond` and `redirect`.
    """

    path: Annotated[
        str,
        doc(
            "The path: literal segments, and `{name}` for one segment, `{name:int}`, `{name:uuid}`, or"
            " `{name:path}` for the rest. The most specific route wins, whatever the order.",
            min_length=1,
        ),
    ]
    methods: Annotated[tuple[Method, ...], doc("Methods it takes; all when left out. HEAD follows GET.")] = ()
    host: Annotated[
        HostPattern | None, doc("The host it takes, exact or `*.example.com`; all when left out.")
    ] = None
    headers: Annotated[
        dict[HeaderName, HeaderValue], doc("Header fields that a request must carry, with their values.")
    ] = {}
    upstream: Annotated[str | None, doc("The name of the upstream to send requests on to.")] = None
    app: Annotated[str | None, doc("The name of the hosted app that answers.")] = None
    split: Annotated[Split | None, doc("Several upstreams, and who goes where.")] = None
    aggregate: Annotated[
        dict[PartName, Part] | None,
        doc("Several requests, by name, whose answers make one: each is a member of a JSON object."),
    ] = None
    shadow: Annotated[
        Shadow | None, doc("A second destination that gets copies, and whose answers are compared.")
    ] = None
    move: Annotated[Move | None, doc("Another upstream that its requests are to go to, step by step.")] = None
    rewrite: Annotated[
        str | None,
        doc("The path sent to the upstream in place of the client's; `{name}` stands for a parameter."),
    ] = None
    handler: Annotated[HandlerUse | None, doc("A function of yours that answers.")] = None
    respond: Annotated[Respond | None, doc("An answer to give.")] = None
    redirect: Annotated[Redirect | None, doc("A redirect to answer with.")] = None
    limits: Annotated[RouteLimits, doc("Limits of its own, over the server's.")] = RouteLimits()
    timeouts: Annotated[RouteTimeouts, doc("Timeouts of its own, over the server's and the upstream's.")] = (
        RouteTimeouts()
    )
    log: Annotated[RouteLog, doc("What is logged of it, over the access log's own.")] = RouteLog()
    policies: Annotated[tuple[PolicyUse, ...], doc("Policies of its own, after those of every route.")] = ()
    priority: Annotated[
        Literal["high", "normal", "low"],
        doc("Who goes first where requests wait for an upstream, and who gives way where the line is full."),
    ] = "normal"
    name: Annotated[Line | None, doc("Its name in metrics and logs; its path when left out.")] = None
    at: Annotated[str, Meta(extra={"internal": True})] = ""
    """Where it stands, as `FILE:LINE`; set when the config is loaded."""

    @property
    def title(self) -> str:
        """What it is called where its name alone would not tell it from others."""
        where = f"{self.host or ''}{self.path}"
        return self.name or (f"{','.join(self.methods)} {where}" if self.methods else where)

    @property
    def upstreams(self) -> tuple[str, ...]:
        """The names of those that it leads to."""
        if self.split is not None:
            return tuple(branch.upstream for branch in self.split.to)
        if self.aggregate is not None:
            return tuple(part.upstream for part in self.aggregate.values())
        if self.move is not None:
            return tuple(name for name in (self.upstream, self.moves_to) if name)
        return () if self.upstream is None else (self.upstream,)

    @property
    def moves_to(self) -> str:
        """The upstream that it moves to; empty where it does not."""
        if self.move is None:
            return ""
        return self.move.to or (self.shadow.to if self.shadow is not None else "")

    @property
    def uses(self) -> tuple[PolicyUse, ...]:
        """Its policies, and those of its parts."""
        if self.aggregate is None:
            return self.policies
        return (*self.policies, *(use for part in self.aggregate.values() for use in part.policies))
