"""`tetrapylon diff`: how the answers of shadows differ."""

from __future__ import annotations

import argparse
from typing import Any

from tetrapylon.cli.arguments import add_format
from tetrapylon.cli.remote import add_admin

__all__ = ["configure", "run", "show"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_admin(parser)
    parser.add_argument("--route", metavar="NAME", help="of this route alone")
    parser.add_argument(
        "--forget", action="store_true", help="forget what was found, of all routes or of --route"
    )
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    import json
    from urllib.parse import urlencode

    from tetrapylon.cli.remote import ask, reach

    query = "?" + urlencode({"route": arguments.route}) if arguments.route is not None else ""
    if arguments.forget:
        told = ask(reach(arguments), "POST", f"/diff/forget{query}")
        print(f"forgotten: {told['forgotten']}")
        return 0
    routes = ask(reach(arguments), "GET", f"/diff{query}")
    if arguments.format == "json":
        print(json.dumps(routes, indent=2))
    else:
        show(routes)
    return 0


def show(routes: list[dict[str, Any]]) -> None:
    """Each route with what differs there, the most frequent first."""
    if not routes:
        print("nothing was compared yet")
    for route in routes:
        share = route["different"] / route["compared"] if route["compared"] else 0.0
        print(
            f"{route['route']}: {route['compared']} compared, {route['different']} different ({share:.2%}),"
            f" {len(route['noise'])} places of noise from {route['again']} answers asked twice"
        )
        for each in route["differences"]:
            print(f"  {each['count']:>7}  {each['kind']:<8} {each['where']}")
            for sample in each["samples"][:1]:
                print(f"           {sample['method']} {sample['target']}")
                print(f"           - {sample['primary']}")
                print(f"           + {sample['second']}")
