"""`tetrapylon reload`: has the running gateway read its config again."""

from __future__ import annotations

import argparse

from tetrapylon.cli.remote import add_admin

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_admin(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show what would change, route by route")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.cli.outcome import tell_outcome, tell_refusal
    from tetrapylon.cli.remote import Refused, ask, reach

    try:
        tell_outcome(ask(reach(arguments), "POST", "/reload?dry_run=1" if arguments.dry_run else "/reload"))
    except Refused as refused:
        return tell_refusal(refused)
    return 0
