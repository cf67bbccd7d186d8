"""A shadow is checked against the route that it belongs to."""

from __future__ import annotations

from tetrapylon.config.check_upstreams import upstream_known
from tetrapylon.config.model import Config, Route
from tetrapylon.config.shape import FAILED
from tetrapylon.config.tree import Path, Report

__all__ = ["SAFE", "check_shadow"]

SAFE = ("GET", "HEAD", "OPTIONS")


def check_shadow(route: Route, path: Path, config: Config, report: Report) -> None:
    shadow = route.shadow
    if shadow is None or shadow is FAILED or report.touched(path):
        return
    upstream_known(shadow.to, (*path, "to"), config, report)
    if route.upstream is None:
        hint = "give the route an `upstream`, or leave `shadow` out"
        report.add(path, "there is no one upstream whose answers could be compared", hint, key=True)
    elif shadow.to == route.upstream:
        hint = "name the upstream that is to take its place"
        report.add((*path, "to"), f"{shadow.to} is where the route leads already", hint)
    if not shadow.sample:
        hint = "give a share such as 10%, or leave `shadow` out"
        report.add((*path, "sample"), "a share of 0% copies nothing", hint)
    for index, method in enumerate(shadow.methods):
        if method in SAFE:
            hint = "leave it out: name those that change something"
            report.add((*path, "methods", index), f"{method} is copied anyway", hint)
        elif route.methods and method not in route.methods:
            hint = f"expected one of {', '.join(route.methods)}"
            report.add((*path, "methods", index), f"the route does not take {method}", hint)
