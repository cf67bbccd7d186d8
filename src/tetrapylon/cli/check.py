"""`tetrapylon check`: validates a config without serving."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tetrapylon.cli.arguments import add_config

if TYPE_CHECKING:
    from tetrapylon.config.model import Config
    from tetrapylon.config.treatment import Treats
    from tetrapylon.recording.recorded import Recorded

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--against",
        metavar="ADDRESS",
        help="show what would change in the gateway whose admin address this is, secrets aside",
    )
    parser.add_argument(
        "--replay",
        metavar="FILE",
        help="show which recorded requests would take another route than they did, or with --against be"
        " treated in any way differently; --against may name another config then; exit status 1 where there"
        " are some",
    )


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.config import load

    config = load(arguments.config)
    counts = [
        _count(len(config.routes), "route"),
        _count(len(config.upstreams) - len(config.apps), "upstream"),
    ]
    if config.apps:
        counts.append(_count(len(config.apps), "app"))
    print(f"{arguments.config}: fine ({', '.join(counts)})")
    if arguments.replay is not None:
        return _replay(config, arguments.replay, arguments.against)
    if arguments.against is not None:
        _compare(config, arguments.against)
    return 0


def _replay(config: Config, file: str, against: str | None) -> int:
    from tetrapylon.cli.replay import requests
    from tetrapylon.config.treatment import compare, of_config, of_record

    old = of_record if against is None else _present(against)
    with requests(file) as recorded:
        total, different, changes = compare(recorded, old, of_config(config))
    print(f"{different} of {_count(total, 'recorded request')} would be treated differently")
    for each in changes:
        print(f"{each.requests:>7}  {each.aspect}: {each.old or '(none)'} -> {each.new or '(none)'}")
        for example in each.examples:
            print(f"           {example}")
    return 1 if different else 0


def _present(against: str) -> Treats:
    """How requests are treated by another config, or by the gateway at an admin address."""
    import os
    from urllib.parse import urlencode

    from tetrapylon.cli.remote import TOKEN, Admin, Refused, ask
    from tetrapylon.config.treatment import Treatment, asked_of, of_config, treatment

    if os.path.isfile(against):
        from tetrapylon.config import load

        return of_config(load(against))
    admin = Admin(against, os.environ.get(TOKEN))
    known: dict[str, Treatment] = {}

    def treats(recorded: Recorded) -> Treatment:
        asked = asked_of(recorded)
        if isinstance(asked, str):
            return {"route": f"none: {asked}"}
        lines = "\n".join(f"{name}:{value}" for name, value in asked.headers.items())
        query = urlencode({"method": asked.method, "url": asked.path, "header": lines})
        if query not in known:
            try:
                known[query] = treatment(ask(admin, "GET", f"/explain?{query}"))
            except Refused as refused:
                if refused.status != 400:
                    raise
                known[query] = {"route": f"none: 400, {refused}"}
        return known[query]

    return treats


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
