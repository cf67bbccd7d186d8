"""`tetrapylon run`: serves the traffic."""

from __future__ import annotations

import argparse

from tetrapylon.cli import app
from tetrapylon.cli.arguments import CONFIG, add_config

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_config(parser, default=None)
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        action="append",
        default=[],
        type=_address,
        help="host:port or unix:/path, in place of the config's; may be given more than once",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=_workers,
        help="worker processes, in place of the config's; auto: one a core",
    )

    parser.add_argument(
        "--watch",
        action="store_true",
        help="reload when a file of the config changes, and replace apps whose code does (needs"
        " tetrapylon[watch])",
    )
    app.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    values = app.values(arguments)

    from tetrapylon import supervise
    from tetrapylon.plan import Source

    if values is not None:
        source = Source("the command line", workers=arguments.workers, values=values)
    else:
        source = Source(arguments.config or CONFIG, arguments.listen, arguments.workers)
    if arguments.watch:
        _require_watchfiles(None if values is not None else source.name)
    code: int = supervise.run(source, watch=arguments.watch)
    return code


def _require_watchfiles(source: str | None) -> None:
    """`source` is a config; None where there is none."""
    from importlib.util import find_spec

    from tetrapylon.config.formats import FORMATS
    from tetrapylon.errors import UsageError

    if source is not None and not source.endswith(tuple(FORMATS)):
        raise UsageError(f"--watch watches files, and {source} is none; reload it by HUP")
    if find_spec("watchfiles") is None:
        raise UsageError("--watch needs the package watchfiles: pip install 'tetrapylon[watch]'")


def _address(text: str) -> str:
    from tetrapylon.config.net import listen_address

    try:
        return str(listen_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _workers(text: str) -> int:
    if text == "auto":
        import os

        return len(os.sched_getaffinity(0))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of workers; expected 1 to 1024, or auto")
    return int(text)
