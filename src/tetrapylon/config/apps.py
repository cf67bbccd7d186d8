"""Hosted apps as the upstreams that they are; who hosts them says where their processes listen."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Any

import msgspec

from tetrapylon.code.load import REFERENCE
from tetrapylon.config.model import App, Config, Upstream
from tetrapylon.config.shape import FAILED, nearest
from tetrapylon.config.tree import Path, Report
from tetrapylon.errors import ConfigError, Problem

__all__ = ["APP", "refuse_apps", "with_apps", "without_apps"]

DEADLINE = "X-Deadline-Ms"
"""Tells an app what is left of `timeouts.total`, in milliseconds."""
SERVERS = {"wsgi": "gunicorn", "asgi": "uvicorn"}
APP = re.compile(REFERENCE.pattern + r"(?:\(\))?")


def with_apps(config: Config, report: Report) -> Config:
    """The config with an upstream for each of its apps, and routes that lead there."""
    upstreams = dict(config.upstreams)
    for name, app in config.apps.items():
        path: Path = ("apps", name)
        if name in upstreams:
            report.add(path, f"there is an upstream {name!r} too", "choose another name for one of the two")
            continue
        upstreams[name] = FAILED
        if app is not FAILED and not report.touched(path):
            _check(app, path, report)
            upstreams[name] = _upstream(name, app)
    routes = []
    for index, route in enumerate(config.routes):
        if route is not FAILED and route.app is not None and not report.touched(("routes", index, "app")):
            _known(route.app, ("routes", index, "app"), config, report)
            if route.upstream is None:
                route = msgspec.structs.replace(route, upstream=route.app)
        routes.append(route)
    return msgspec.structs.replace(config, upstreams=upstreams, routes=tuple(routes))


def without_apps(values: dict[str, Any], config: Config) -> None:
    """Takes out of a config, as plain values, what `with_apps` put there."""
    for name, upstream in config.upstreams.items():
        if upstream.app:
            del values["upstreams"][name]
    if not values.get("upstreams", True):
        del values["upstreams"]
    for route in values.get("routes", ()):
        if route.get("app") is not None and route.get("upstream") == route["app"]:
            del route["upstream"]


def refuse_apps(config: Config, instead: Container[str] = (), *, hint: str = "`tetrapylon run` does") -> None:
    """Raises ConfigError where there is nobody to host apps, for those that have nothing in their place."""
    problems = [
        Problem("config", "apps are not hosted here", path=f"apps.{name}", hint=hint)
        for name in config.apps
        if name not in instead
    ]
    if problems:
        raise ConfigError(problems)


def _upstream(name: str, app: App) -> Upstream:
    timeouts = app.timeouts
    if timeouts.header is None:
        timeouts = msgspec.structs.replace(timeouts, header=DEADLINE)
    return Upstream(
        app=name,
        balance="least_requests",
        timeouts=timeouts,
        pool=app.pool,
        retry=app.retry,
        health=app.health,
    )


def _check(app: App, path: Path, report: Report) -> None:
    given = [kind for kind in SERVERS if getattr(app, kind) is not None]
    if len(given) != 1:
        what = "it is said twice what to run" if given else "it is not said what to run"
        report.add(path, what, 'expected one of `wsgi: "module:name"` and `asgi: "module:name"`')
        return
    kind = given[0]
    if APP.fullmatch(getattr(app, kind)) is None:
        hint = "expected MODULE:NAME, such as shop.app:app, or MODULE:FUNCTION()"
        report.add((*path, kind), f"{getattr(app, kind)!r} names no app", hint)
    if find_spec(SERVERS[kind]) is None:
        hint = f'pip install "tetrapylon[{kind}]"'
        report.add((*path, kind), f"a {kind.upper()} app is run by {SERVERS[kind]}, which is missing", hint)
    if kind == "asgi" and app.threads != App().threads:
        hint = "leave it out: its event loop takes all requests at once"
        report.add((*path, "threads"), "an ASGI app has no threads here", hint, key=True)
    if app.folder is not None and not FilePath(app.folder).is_dir():
        hint = f"it is looked for from {os.getcwd()}"
        report.add((*path, "folder"), f"there is no folder {app.folder}", hint)


def _known(name: str, path: Path, config: Config, report: Report) -> None:
    if name in config.apps or report.touched(("apps",)):
        return
    close = nearest(name, config.apps)
    known = ", ".join(sorted(config.apps)[:10]) or "one in `apps`"
    report.add(
        path, f"there is no app {name!r}", f"did you mean {close!r}?" if close else f"expected {known}"
    )
