"""`tetrapylon move`: how far routes are on their way to another upstream, and what is decided there."""

from __future__ import annotations

import argparse
from typing import Any

from tetrapylon.cli.arguments import add_format
from tetrapylon.cli.remote import add_admin

__all__ = ["configure", "line", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_admin(parser)
    parser.add_argument("--route", metavar="NAME", help="of this route alone")
    parser.add_argument("--approve", metavar="NAME", help="take the step that is proposed for this route")
    parser.add_argument("--back", metavar="NAME", help="send all requests of this route back to the old side")
    parser.add_argument("--why", metavar="TEXT", help="why it goes back, to be kept with the step")
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    import json
    from urllib.parse import urlencode

    from tetrapylon.cli.remote import ask, reach
    from tetrapylon.errors import UsageError

    if arguments.approve is not None and arguments.back is not None:
        raise UsageError("--approve and --back at once: choose one")
    if arguments.why is not None and arguments.back is None:
        raise UsageError("--why belongs to --back")
    admin = reach(arguments)
    if arguments.approve is not None:
        told = [ask(admin, "POST", f"/move/approve?{urlencode({'route': arguments.approve})}")]
    elif arguments.back is not None:
        query = {"route": arguments.back, **({"why": arguments.why} if arguments.why else {})}
        told = [ask(admin, "POST", f"/move/back?{urlencode(query)}")]
    else:
        query = {"route": arguments.route} if arguments.route is not None else {}
        told = ask(admin, "GET", f"/move?{urlencode(query)}" if query else "/move")
    if arguments.format == "json":
        print(json.dumps(told, indent=2))
    else:
        _show(told)
    return 0


def line(move: dict[str, Any]) -> str:
    """`users: 10% to new_users, holding: ...`"""
    following = f", next {_share(move['next'])}" if move["next"] is not None else ""
    why = f": {move['why']}" if move["why"] else ""
    return f"{move['route']}: {_share(move['share'])} to {move['to']}, {move['state']}{following}{why}"


def _show(moves: list[dict[str, Any]]) -> None:
    from tetrapylon.cli.outcome import moment

    if not moves:
        print("no route has a `move`")
    for move in moves:
        print(line(move))
        compared = move["compared"]
        print(f"  {compared} answers compared, {move['different']} different")
        for step in move["steps"]:
            print(f"  {moment(step['time'])}  {step['what']:<8} {_share(step['share']):>6}  {step['why']}")
            for side in ("old", "new"):
                seen = step["evidence"].get(side)
                if seen is not None:
                    print(f"  {'':<19}  {side}: {_side(seen)}")


def _side(seen: dict[str, Any]) -> str:
    p95 = f", p95 {seen['p95'] * 1000:.3g} ms" if seen["p95"] is not None else ""
    late = f", {seen['late']} late" if seen["late"] else ""
    errors = f"{seen['errors']} errors{late}, {seen['client_errors']} client errors"
    return f"{seen['requests']} requests, {errors}{p95}"


def _share(share: float) -> str:
    return f"{share * 100:.4g}%"
