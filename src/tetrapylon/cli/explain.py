"""`tetrapylon explain`: says which route a request takes, and why the nearest others do not."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from tetrapylon.cli.arguments import add_config, add_format

if TYPE_CHECKING:
    from tetrapylon.config.explain import Explanation, Request
    from tetrapylon.config.model import Config

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_config(parser, required=True)
    parser.add_argument("method", metavar="METHOD", help="such as GET")
    parser.add_argument("url", metavar="URL", help="a path, or a URL whose host is the request's")
    parser.add_argument(
        "-H",
        "--header",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        type=_header,
        dest="headers",
        help="a header field of the request; may be given more than once",
    )
    add_format(parser, "text", "json")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not a header; expected NAME:VALUE")
    return name.strip(), value.strip()


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.config import load
    from tetrapylon.config.explain import explain
    from tetrapylon.errors import UsageError

    config = load(arguments.config)
    request, query = _request(arguments)
    try:
        found = explain(config, request)
    except ValueError as error:
        raise UsageError(f"{request.path}: answered with 400: {error}") from None
    if arguments.format == "json":
        import json

        print(json.dumps(_summary(config, found, query), indent=2))
    else:
        _tell(config, request, found, query)
    return 0 if found.route is not None else 1


def _request(arguments: argparse.Namespace) -> tuple[Request, str]:
    """The request, and its query with the question mark."""
    from urllib.parse import urlsplit

    from tetrapylon.config.explain import Request
    from tetrapylon.errors import UsageError

    headers = dict(arguments.headers)
    host = next((value for name, value in arguments.headers if name.lower() == "host"), "")
    target = arguments.url
    if "://" in target:
        try:
            parts = urlsplit(target)
        except ValueError as error:
            raise UsageError(f"{target!r} is not a URL: {error}") from None
        host = host or parts.netloc.rpartition("@")[2]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    elif not target.startswith("/"):
        raise UsageError(
            f"{target!r} is neither a path nor a URL; did you mean /{target} or http://{target}?"
        )
    path, mark, query = target.partition("#")[0].partition("?")
    return Request(arguments.method, path, host, headers), mark + query


def _summary(config: Config, found: Explanation, query: str) -> dict[str, Any]:
    from tetrapylon.cli import describe

    route = found.route
    return {
        "route": describe.summary(config, route) if route is not None else None,
        "params": found.params,
        "target": found.path + query if route is not None and route.upstream is not None else None,
        "allowed": list(found.allowed),
        "others": [
            {"route": describe.summary(config, loser.route), "reason": loser.reason} for loser in found.losers
        ],
    }


def _tell(config: Config, request: Request, found: Explanation, query: str) -> None:
    from tetrapylon.cli import describe

    route = found.route
    if route is not None:
        policies = describe.policies(config, route)
        print(f"route        {_title(route)}  ({route.at})")
        if found.params:
            print(f"parameters   {', '.join(f'{name}={value}' for name, value in found.params.items())}")
        print(f"policies     {', '.join(policies) or 'none'}")
        print(f"destination  {describe.destination(route)}")
        if route.upstream is not None:
            print(f"sent as      {request.method} {found.path}{query}")
    elif found.allowed:
        print(f"no route takes {request.method} here: 405, Allow: {', '.join(found.allowed)}")
    else:
        print(f"no route takes {request.path}: 404")
    if found.losers:
        print("\nnearest others")
    for loser in found.losers:
        print(f"  {_title(loser.route)}  ({loser.route.at})\n    {loser.reason}")


def _title(route: Any) -> str:
    from tetrapylon.cli import describe

    host = f" {route.host}" if route.host else ""
    return f"{describe.methods(route)}{host} {route.path}"
