"""`tetrapylon run`: serves the traffic."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_config

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
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
        help="reload when a file of the config changes (needs tetrapylon[watch])",
    )


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon import supervise

    if arguments.watch:
        _require_watchfiles(arguments.config)
    code: int = supervise.run(
        arguments.config, listen=arguments.listen, workers=arguments.workers, watch=arguments.watch
    )
    return code


def _require_watchfiles(source: str) -> None:
    from importlib.util import find_spec

    from tetrapylon.config.loading import FORMATS
    from tetrapylon.errors import UsageError

    if not source.endswith(tuple(FORMATS)):
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
