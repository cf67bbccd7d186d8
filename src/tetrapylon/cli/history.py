"""`tetrapylon history`: the last configs that were in force."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_format
from tetrapylon.cli.remote import add_admin

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_admin(parser)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.cli.outcome import moment
    from tetrapylon.cli.remote import ask, reach
    from tetrapylon.cli.style import print_table

    told = ask(reach(arguments), "GET", "/history")
    if arguments.format == "json":
        import json

        print(json.dumps(told["history"], indent=2))
        return 0
    rows = [
        [
            f"{past['generation']}{'*' if past['generation'] == told['generation'] else ''}",
            moment(past["time"]),
            past["origin"],
            past["summary"] or past["source"],
        ]
        for past in told["history"]
    ]
    print_table(["GENERATION", "TIME", "BY", "CHANGES"], rows)
    return 0
