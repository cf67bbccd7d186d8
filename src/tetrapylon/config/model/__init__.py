"""The config as msgspec Structs: every key, its type, its default and its one description.

Files, the JSON Schema and the reference are all read from these Structs; a config built in Python is
made of them. All are frozen, so one may be shared freely.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tetrapylon.config.model.aggregate import Part
from tetrapylon.config.model.api import Api
from tetrapylon.config.model.app import App
from tetrapylon.config.model.audit import Audit, AuditIgnore
from tetrapylon.config.model.base import Section, Text, doc
from tetrapylon.config.model.code import Docs, HandlerUse, PluginOptions
from tetrapylon.config.model.consumer import Consumer
from tetrapylon.config.model.discover import Discover, Dns, Etcd, File
from tetrapylon.config.model.log import AccessLog, ErrorLog, Log, Redact, Traces
from tetrapylon.config.model.move import Move, MoveRollback, MoveWhen
from tetrapylon.config.model.policy_use import PolicyUse
from tetrapylon.config.model.record import Record
from tetrapylon.config.model.respond import Respond
from tetrapylon.config.model.route import (
    Branch,
    Redirect,
    Route,
    RouteLimits,
    RouteTimeouts,
    Split,
)
from tetrapylon.config.model.server import (
    Admin,
    AdminTls,
    Certificate,
    ErrorPage,
    Listener,
    ListenerTls,
    Metrics,
    Server,
    ServerLimits,
    ServerTimeouts,
)
from tetrapylon.config.model.shadow import Diff, Shadow
from tetrapylon.config.model.upstream import (
    ActiveHealth,
    AdaptiveLimit,
    Balance,
    Breaker,
    Breakers,
    ConsistentHash,
    Credentials,
    Health,
    Hedge,
    PassiveHealth,
    Pool,
    Retry,
    StickyCookie,
    Target,
    Upstream,
    UpstreamTimeouts,
    UpstreamTls,
)
from tetrapylon.config.net import Line

__all__ = [
    "AccessLog",
    "ActiveHealth",
    "AdaptiveLimit",
    "Admin",
    "AdminTls",
    "Api",
    "App",
    "Audit",
    "AuditIgnore",
    "Balance",
    "Branch",
    "Breaker",
    "Breakers",
    "Certificate",
    "Config",
    "ConsistentHash",
    "Consumer",
    "Credentials",
    "Diff",
    "Discover",
    "Dns",
    "Docs",
    "ErrorLog",
    "ErrorPage",
    "Etcd",
    "File",
    "HandlerUse",
    "Health",
    "Hedge",
    "Listener",
    "ListenerTls",
    "Log",
    "Metrics",
    "Move",
    "MoveRollback",
    "MoveWhen",
    "Part",
    "PassiveHealth",
    "PluginOptions",
    "PolicyUse",
    "Pool",
    "Record",
    "Redact",
    "Redirect",
    "Respond",
    "Retry",
    "Route",
    "RouteLimits",
    "RouteTimeouts",
    "Section",
    "Server",
    "ServerLimits",
    "ServerTimeouts",
    "Shadow",
    "Split",
    "StickyCookie",
    "Target",
    "Traces",
    "Upstream",
    "UpstreamTimeouts",
    "UpstreamTls",
]


class Config(Section, frozen=True, kw_only=True):
    """The whole config."""

    include: Annotated[
        tuple[Text, ...],
        doc(
            "Further files, by name or by pattern such as `routes/*.yaml`, relative to this one: their"
            " upstreams, policies, routes, apis, consumers and apps are added to those here."
        ),
    ] = ()
    server: Annotated[Server, doc("The gateway's own side of the wire.")] = Server()
    admin: Annotated[Admin | None, doc("The admin address; there is none when left out.")] = None
    metrics: Annotated[Metrics, doc("How finely it is counted what happens.")] = Metrics()
    log: Annotated[Log, doc("What is written down.")] = Log()
    traces: Annotated[
        Traces | None, doc("Where spans go; nowhere when left out, and `traceparent` is still passed on.")
    ] = None
    upstreams: Annotated[
        dict[Line, Upstream],
        doc("Where requests are sent on to, by name."),
    ] = {}
    apps: Annotated[
        dict[Line, App], doc("WSGI and ASGI apps to host, by name; each is an upstream of that name, too.")
    ] = {}
    policies: Annotated[tuple[PolicyUse, ...], doc("Policies on every route, before the route's own.")] = ()
    consumers: Annotated[tuple[Consumer, ...], doc("Who requests may be from.")] = ()
    routes: Annotated[tuple[Route, ...], doc("Which requests go where.")] = ()
    apis: Annotated[
        tuple[Api, ...], doc("Routes that OpenAPI documents say, each request held to its operation.")
    ] = ()
    lifespan: Annotated[
        Text | None,
        doc(
            "What handlers and plugins share, as `module:name`: an async context manager that is given a"
            " mapping to fill, entered in each worker before it serves and left after it."
        ),
    ] = None
    docs: Annotated[
        Docs | None, doc("The OpenAPI document of the handlers; there is none when left out.")
    ] = None
    diff: Annotated[Diff, doc("Where it is kept what shadows find, and how moves stand.")] = Diff()
    record: Annotated[Record, doc("Where the requests are kept that the policy `record` takes.")] = Record()
    audit: Annotated[Audit, doc("Settings of `tetrapylon audit`.")] = Audit()
    files: Annotated[tuple[str, ...], Meta(extra={"internal": True})] = ()
    """Every file that was read for it, the included ones too; set when it is loaded."""
    patterns: Annotated[tuple[str, ...], Meta(extra={"internal": True})] = ()
    """By which there may be more of them another time, each as `glob` takes it; set when it is loaded."""
    filled: Annotated[dict[str, str], Meta(extra={"internal": True})] = {}
    """The path of each value that was filled in, and its `${...}`; set when it is loaded."""
