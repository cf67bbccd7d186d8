"""`tetrapylon explain`: says which route a request takes, and why the nearest others do not."""

from __future__ import annotations

import argparse
from typing import Any

from tetrapylon.cli.arguments import add_config, add_format, header

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
        type=header,
        dest="headers",
        help="a header field of the request; may be given more than once",
    )
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.config import load
    from tetrapylon.config.explain import explain, request
    from tetrapylon.errors import UsageError

    config = load(arguments.config)
    try:
        asked = request(arguments.method, arguments.url, dict(arguments.headers))
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        told = explain(config, asked)
    except ValueError as error:
        raise UsageError(f"{asked.path}: answered with 400: {error}") from None
    if arguments.format == "json":
        import json

        print(json.dumps(told, indent=2))
    else:
        _tell(told)
    return 0 if told["route"] is not None else 1


def _tell(told: dict[str, Any]) -> None:
    route = told["route"]
    if route is not None:
        print(f"route        {_title(route)}  ({route['at']})")
        if told["params"]:
            print(f"parameters   {', '.join(f'{name}={value}' for name, value in told['params'].items())}")
        lines = [f"{each['use']}{_settings(each['settings'])}  ({each['from']})" for each in told["policies"]]
        _list("policies", lines or ["none"])
        print(f"destination  {told['destination']['text']}")
        targets = [
            each["url"] + (f" (weight {each['weight']})" if each["weight"] != 1 else "")
            for each in told["destination"].get("targets", ())
        ]
        if targets:
            _list("targets", targets)
        if told["target"] is not None:
            print(f"sent as      {told['method']} {told['target']}")
        _list("limits", [_line(each) for each in told["limits"]])
        _list("timeouts", [_line(each) for each in told["timeouts"]])
    elif told["allowed"]:
        print(f"no route takes {told['method']} here: 405, Allow: {', '.join(told['allowed'])}")
    else:
        print(f"no route takes {told['path']}: 404")
    losers = [each for each in told["candidates"] if not each["wins"]]
    if losers:
        print("\nnearest others")
    for each in losers:
        print(f"  {_title(each['route'])}  ({each['route']['at']})\n    {each['reason']}")


def _list(name: str, lines: list[str]) -> None:
    for index, line in enumerate(lines):
        print(f"{name if index == 0 else '':<12} {line}")


def _line(each: dict[str, Any]) -> str:
    return f"{each['name']} {each['value']}  ({each['from']})"


def _settings(settings: dict[str, Any]) -> str:
    if not settings:
        return ""
    import json

    return " " + json.dumps(settings)


def _title(route: dict[str, Any]) -> str:
    host = f" {route['host']}" if route["host"] else ""
    return f"{','.join(route['methods']) or '*'}{host} {route['path']}"
