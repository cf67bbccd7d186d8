"""`tetrapylon status`: what the running gateway does, and how its last reload ended."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_format
from tetrapylon.cli.remote import add_admin

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_admin(parser)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    """0 while it serves, 1 while it does not."""
    from tetrapylon.cli.move import line
    from tetrapylon.cli.outcome import moment
    from tetrapylon.cli.remote import ask, reach

    admin = reach(arguments)
    index, told, moves = (ask(admin, "GET", path) for path in ("/status", "/history", "/move"))
    fine = index["state"] == "serving"
    if arguments.format == "json":
        import json

        print(json.dumps({**index, **told, "moves": moves}, indent=2))
        return 0 if fine else 1
    workers = index["workers"]
    print(
        f"{index['name']} {index['version']}: {index['state']}, {workers['serving']} of"
        f" {workers['configured']} workers serve"
    )
    for now in told["history"][-1:]:
        since = f"since {moment(now['time'])} ({now['origin']})"
        print(f"config: {told['source']}, generation {now['generation']} {since}")
    last = told["last"]
    if last is not None:
        print(f"last reload: {last['outcome']}, {moment(last['time'])} ({last['origin']})")
        for problem in last["problems"]:
            print(f"    {problem['text']}")
    for each in moves:
        print(f"move: {line(each)}")
    for text, count in index["troubles"].items():
        print(f"since the start: {count} {text}")
    return 0 if fine else 1
