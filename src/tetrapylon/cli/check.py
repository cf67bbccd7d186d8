"""`tetrapylon check`: validates a config without serving."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tetrapylon.cli.arguments import add_config

if TYPE_CHECKING:
    from tetrapylon.config.model import Config

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--against",
        metavar="ADDRESS",
        help="show what would change in the gateway whose admin address this is, secrets aside",
    )


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.config import load

    config = load(arguments.config)
    counts = f"{_count(len(config.routes), 'route')}, {_count(len(config.upstreams), 'upstream')}"
    print(f"{arguments.config}: fine ({counts})")
    if arguments.against is not None:
        _compare(config, arguments.against)
    return 0


def _compare(config: Config, address: str) -> None:
    import os

    from msgspec import to_builtins

    from tetrapylon.cli.outcome import tell_changes
    from tetrapylon.cli.remote import TOKEN, Admin, ask
    from tetrapylon.config.diff import differences_shown, summary
    from tetrapylon.config.mask import masked

    running = ask(Admin(address, os.environ.get(TOKEN)), "GET", "/config")
    changes = differences_shown(running, masked(config))
    tell_changes(to_builtins(changes))
    print(f"against {address}: {summary(changes)}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
