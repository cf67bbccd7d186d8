"""Hosted apps as the upstreams that they are, each with a socket of its own."""

from __future__ import annotations

import os
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path as FilePath

import msgspec

from tetrapylon.config.model import App, Config, Target, Upstream
from tetrapylon.config.shape import FAILED, nearest
from tetrapylon.config.tree import Path, Report
from tetrapylon.load import REFERENCE

__all__ = ["placed", "with_apps"]

DEADLINE = "X-Deadline-Ms"
"""Tells an app what is left of `timeouts.total`, in milliseconds."""
NOWHERE = "/tetrapylon-app-without-a-place"
SERVERS = {"wsgi": "gunicorn", "asgi": "uvicorn"}


def with_apps(config: Config, report: Report) -> Config:
    """The config with an upstream for each of its apps, and routes that lead there."""
    upstreams = dict(config.upstreams)
    for name, app in config.apps.items():
        path: Path = ("apps", name)
        if app is FAILED or report.touched(path):
            continue
        _check(app, path, report)
        own = _upstream(name, app, NOWHERE)
        there = upstreams.get(name)
        if there is not None and there is not FAILED and there.targets != own.targets:
            report.add(path, f"there is an upstream {name!r} too", "choose another name for one of the two")
        upstreams[name] = own
    routes = []
    for index, route in enumerate(config.routes):
        if route is not FAILED and route.app is not None and not report.touched(("routes", index, "app")):
            _known(route.app, ("routes", index, "app"), config, report)
            if route.upstream is None:
                route = msgspec.structs.replace(route, upstream=route.app)
        routes.append(route)
    return msgspec.structs.replace(config, upstreams=upstreams, routes=tuple(routes))


def placed(config: Config, folder: str) -> Config:
    """The config with the apps' sockets in this folder."""
    own = {name: _upstream(name, app, folder) for name, app in config.apps.items()}
    return msgspec.structs.replace(config, upstreams={**config.upstreams, **own}) if own else config


def _upstream(name: str, app: App, folder: str) -> Upstream:
    """The socket's name is short, whatever the app's: addresses have 108 bytes (unix(7))."""
    socket = f"{folder}/{sha256(name.encode()).hexdigest()[:8]}"
    timeouts = app.timeouts
    if timeouts.header is None:
        timeouts = msgspec.structs.replace(timeouts, header=DEADLINE)
    return Upstream(
        targets=(Target(url=f"unix:{socket}"),),
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
    if REFERENCE.fullmatch(getattr(app, kind)) is None:
        hint = "expected MODULE:NAME, such as shop.app:app"
        report.add((*path, kind), f"{getattr(app, kind)!r} names no app", hint)
    if find_spec(SERVERS[kind]) is None:
        hint = f'pip install "tetrapylon[{kind}]"'
        report.add((*path, kind), f"a {kind.upper()} app is run by {SERVERS[kind]}, which is missing", hint)
    if kind == "asgi":
        for key in ("threads", "timeout"):
            if getattr(app, key) != getattr(App(), key):
                report.add((*path, key), f"an ASGI app has no {key} here", "leave it out", key=True)
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
