"""`tetrapylon rollback`: has the running gateway go back to an earlier config."""

from __future__ import annotations

import argparse

from tetrapylon.cli.remote import add_admin

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_admin(parser)
    parser.add_argument(
        "--to",
        metavar="GENERATION",
        type=int,
        help="one that `tetrapylon history` lists (default: the one before that in force)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would change, route by route")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.cli.outcome import tell_outcome, tell_refusal
    from tetrapylon.cli.remote import Refused, ask, reach

    wanted = [f"generation={arguments.to}"] if arguments.to is not None else []
    wanted += ["dry_run=1"] if arguments.dry_run else []
    try:
        tell_outcome(ask(reach(arguments), "POST", "/rollback?" + "&".join(wanted)))
    except Refused as refused:
        return tell_refusal(refused)
    return 0
