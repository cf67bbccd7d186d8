"""`tetrapylon migrate`: writes a config in which an app serves all its routes, to move on from there."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_format

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "app",
        metavar="MODULE:APP",
        help="a Flask, FastAPI, Starlette or Django app; or MODULE:FUNCTION() that makes it",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        default="gateway.yaml",
        help="the config to write or to add to; - prints (default: gateway.yaml)",
    )
    parser.add_argument("--name", default="legacy", help="what the config calls the app (default: legacy)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=60.0,
        help="how long importing may take (default: 60)",
    )
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.migrate import migrate

    outcome = migrate(
        arguments.app,
        arguments.output,
        app=arguments.name,
        seconds=arguments.timeout,
        write=not arguments.dry_run,
    )
    if arguments.format == "json":
        import dataclasses
        import json

        print(json.dumps(dataclasses.asdict(outcome), indent=2))
        return 0
    if arguments.output == "-":
        print(outcome.text, end="")
        return 0
    for each in outcome.added:
        print(f"+ {each}")
    for each in outcome.vanished:
        print(f"- {each}: no longer in the app; marked as vanished, and left where it is")
    states = ", ".join(f"{count} {state}" for state, count in sorted(outcome.states.items()))
    wrote = "would write" if arguments.dry_run else "wrote"
    print(f"{wrote} {arguments.output}: {outcome.framework}, {states or 'no routes'}")
    return 0
