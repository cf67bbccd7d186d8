"""`tetrapylon routes`: prints the table of routes, in the order of the file."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_config, add_format

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.cli.style import print_table
    from tetrapylon.config import describe, load

    config = load(arguments.config)
    if arguments.format == "json":
        import json

        routes = [describe.summary(config, route, index) for index, route in enumerate(config.routes)]
        print(json.dumps(routes, indent=2))
        return 0
    head = ["METHODS", "HOST", "PATH", "DESTINATION", "POLICIES"]
    rows = [
        [
            describe.methods(route),
            route.host or "*",
            route.path,
            describe.destination(config, route, index),
            ", ".join(describe.policies(config, route)) or "-",
        ]
        for index, route in enumerate(config.routes)
    ]
    if any(route.headers for route in config.routes):
        head.insert(3, "HEADERS")
        for index, (row, route) in enumerate(zip(rows, config.routes, strict=True)):
            shown = describe.headers(config, route, index)
            row.insert(3, ", ".join(f"{name}: {value}" for name, value in shown.items()) or "*")
    print_table(head, rows)
    return 0
