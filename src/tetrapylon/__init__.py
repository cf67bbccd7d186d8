"""Tetrapylon: an API gateway that a Python team can own."""

from __future__ import annotations

from tetrapylon._version import VERSION as __version__

TYPE_CHECKING = False  # what type checkers take for true; importing `typing` takes a third of `--help`
if TYPE_CHECKING:
    from typing import Any

    from tetrapylon._core.route import Router
    from tetrapylon.config.model import (
        AccessLog,
        Admin,
        Config,
        Listener,
        Log,
        PolicyUse,
        Pool,
        Redirect,
        Respond,
        Route,
        RouteLimits,
        RouteTimeouts,
        Server,
        ServerLimits,
        ServerTimeouts,
        Target,
        Upstream,
        UpstreamTimeouts,
    )
    from tetrapylon.embed import embed
    from tetrapylon.errors import ConfigError, Problem, TetrapylonError

__all__ = [
    "AccessLog",
    "Admin",
    "Config",
    "ConfigError",
    "Listener",
    "Log",
    "PolicyUse",
    "Pool",
    "Problem",
    "Redirect",
    "Respond",
    "Route",
    "RouteLimits",
    "RouteTimeouts",
    "Router",
    "Server",
    "ServerLimits",
    "ServerTimeouts",
    "Target",
    "TetrapylonError",
    "Upstream",
    "UpstreamTimeouts",
    "__version__",
    "embed",
]

_MODULES = {"Router": "_core.route", "embed": "embed"} | dict.fromkeys(
    ("ConfigError", "Problem", "TetrapylonError"), "errors"
)


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
