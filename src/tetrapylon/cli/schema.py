"""`tetrapylon schema`: prints the config's JSON Schema, for editors, or its reference in Markdown."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_format

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_format(parser, "json", "markdown")


def run(arguments: argparse.Namespace) -> int:
    if arguments.format == "markdown":
        from tetrapylon.config.reference import reference

        print(reference(), end="")
    else:
        import json

        from tetrapylon.config.schema import schema

        print(json.dumps(schema(), indent=2))
    return 0
