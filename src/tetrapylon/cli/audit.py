"""`tetrapylon audit`: says what an experienced operator would object to in a valid config."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_config, add_format

__all__ = ["configure", "run"]

COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}


def configure(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    add_format(parser, "text", "json", "sarif")
    parser.add_argument(
        "--fail-on",
        choices=("error", "warning", "note", "never"),
        default="warning",
        help="the least severity that makes the exit status 1 (default: warning)",
    )
    parser.add_argument("--rules", action="store_true", help="print the rules, in Markdown, and end")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.audit import audit_file, show

    if arguments.rules:
        print(show.page(), end="")
        return 0
    report = audit_file(arguments.config)
    if arguments.format == "text":
        import sys

        from tetrapylon.cli.style import paint

        for line, finding in show.to_text(report):
            style = "dim" if finding is None else COLOURS[finding.rule.severity]
            print(paint(line, style, sys.stdout))
        print(f"{arguments.config}: {show.summary(report)}")
    else:
        import json

        print(
            json.dumps(
                show.to_json(report) if arguments.format == "json" else show.to_sarif(report), indent=2
            )
        )
    return 1 if arguments.fail_on != "never" and report.fails(arguments.fail_on) else 0
