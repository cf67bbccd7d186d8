"""A move is checked against the route that it belongs to."""

from __future__ import annotations

from tetrapylon.config.check_upstreams import upstream_known
from tetrapylon.config.model import Config, Route
from tetrapylon.config.shape import FAILED
from tetrapylon.config.tree import Path, Report

__all__ = ["MOST", "check_move", "check_moves"]

MOST = 1000
"""Routes that may move at once: each has memory that all workers share."""


def check_move(route: Route, path: Path, config: Config, report: Report) -> None:
    move, shadow = route.move, route.shadow
    if move is None or move is FAILED or report.touched(path):
        return
    if route.upstream is None:
        hint = "give the route an `upstream`, or leave `move` out"
        report.add(path, "there is no one upstream that it could move away from", hint, key=True)
        return
    if move.to is None and shadow is None:
        report.add(path, "it does not say where to", "give it `to`, or the route a `shadow`", key=True)
        return
    if move.to is not None:
        upstream_known(move.to, (*path, "to"), config, report)
    if move.to == route.upstream:
        hint = "name the upstream that is to take its place"
        report.add((*path, "to"), f"{move.to} is where the route leads already", hint)
    elif move.to is not None and shadow is not None and shadow is not FAILED and shadow.to != move.to:
        hint = "leave it out: what is compared is what it moves to"
        report.add((*path, "to"), f"the route's shadow leads to {shadow.to}", hint)
    if move.when is not None and shadow is None:
        hint = "give the route a `shadow`, or leave `when` out"
        report.add((*path, "when"), "nothing is compared on a route without a shadow", hint, key=True)
    if move.when is not None and not move.when.different:
        hint = "give one such as <0.01%"
        report.add((*path, "when", "different"), "no share is below 0%", hint)
    if move.when is None and move.approve == "never":
        hint = "say `when` it is to begin, or let somebody approve the `first` step"
        report.add((*path, "approve"), "it would begin at once, with nothing known of the new upstream", hint)
    if list(move.steps) != sorted(set(move.steps)) or 0 in move.steps:
        hint = "expected rising shares such as [1%, 10%, 50%, 100%]"
        report.add((*path, "steps"), "the shares do not rise from above 0%", hint)
    if config.admin is None:
        hint = "give the config an `admin` address: its process takes the steps"
        report.add(path, "nobody would take the steps", hint, key=True)


def check_moves(config: Config, report: Report) -> None:
    moving = [
        index for index, route in enumerate(config.routes) if route is not FAILED and route.move is not None
    ]
    if len(moving) > MOST:
        hint = f"at most {MOST} routes move at once"
        report.add(("routes", moving[MOST], "move"), f"{len(moving)} routes have a `move`", hint, key=True)
