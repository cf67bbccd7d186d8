"""Tetrapylon: an API gateway that a Python team can own."""

from __future__ import annotations

from tetrapylon._version import VERSION as __version__

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` takes a third of `--help`
if TYPE_CHECKING:
    from typing import Any

    from tetrapylon._core.code.handler import Event
    from tetrapylon._core.code.plugin import Outcome
    from tetrapylon._core.code.surface import Headers, Request, Response
    from tetrapylon._core.routing.route import Router
    from tetrapylon.app import Tetrapylon
    from tetrapylon.config.model import (
        AccessLog,
        ActiveHealth,
        AdaptiveLimit,
        Admin,
        AdminTls,
        Api,
        App,
        Audit,
        AuditIgnore,
        Balance,
        Branch,
        Breaker,
        Breakers,
        Certificate,
        Config,
        ConsistentHash,
        Consumer,
        Credentials,
        Diff,
        Discover,
        Dns,
        Docs,
        ErrorLog,
        ErrorPage,
        Etcd,
        File,
        HandlerUse,
        Health,
        Hedge,
        Listener,
        ListenerTls,
        Log,
        Metrics,
        Move,
        MoveRollback,
        MoveWhen,
        Part,
        PassiveHealth,
        PluginOptions,
        PolicyUse,
        Pool,
        Record,
        Redact,
        Redirect,
        Respond,
        Retry,
        Route,
        RouteLimits,
        RouteTimeouts,
        Server,
        ServerLimits,
        ServerTimeouts,
        Shadow,
        Split,
        StickyCookie,
        Target,
        Traces,
        Upstream,
        UpstreamTimeouts,
        UpstreamTls,
    )
    from tetrapylon.embed import embed, embedded
    from tetrapylon.errors import ConfigError, ExchangeOver, HTTPError, Problem, TetrapylonError
    from tetrapylon.handler import Body, Cookie, Header, Path, Query

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
    "Body",
    "Branch",
    "Breaker",
    "Breakers",
    "Certificate",
    "Config",
    "ConfigError",
    "ConsistentHash",
    "Consumer",
    "Cookie",
    "Credentials",
    "Diff",
    "Discover",
    "Dns",
    "Docs",
    "ErrorLog",
    "ErrorPage",
    "Etcd",
    "Event",
    "ExchangeOver",
    "File",
    "HTTPError",
    "HandlerUse",
    "Header",
    "Headers",
    "Health",
    "Hedge",
    "Listener",
    "ListenerTls",
    "Log",
    "Metrics",
    "Move",
    "MoveRollback",
    "MoveWhen",
    "Outcome",
    "Part",
    "PassiveHealth",
    "Path",
    "PluginOptions",
    "PolicyUse",
    "Pool",
    "Problem",
    "Query",
    "Record",
    "Redact",
    "Redirect",
    "Request",
    "Respond",
    "Response",
    "Retry",
    "Route",
    "RouteLimits",
    "RouteTimeouts",
    "Router",
    "Server",
    "ServerLimits",
    "ServerTimeouts",
    "Shadow",
    "Split",
    "StickyCookie",
    "Target",
    "Tetrapylon",
    "TetrapylonError",
    "Traces",
    "Upstream",
    "UpstreamTimeouts",
    "UpstreamTls",
    "__version__",
    "embed",
    "embedded",
]

_MODULES = {
    "Router": "_core.routing.route",
    "embed": "embed",
    "embedded": "embed",
    "Tetrapylon": "app",
    "Event": "_core.code.handler",
    "Outcome": "_core.code.plugin",
    **dict.fromkeys(("Headers", "Request", "Response"), "_core.code.surface"),
    **dict.fromkeys(("ConfigError", "ExchangeOver", "HTTPError", "Problem", "TetrapylonError"), "errors"),
    **dict.fromkeys(("Body", "Cookie", "Header", "Path", "Query"), "handler"),
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        # Imported when asked for: `import tetrapylon` is on the way to every verb of the command line.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'config.model')}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
