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


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon import supervise

    code: int = supervise.run(arguments.config, listen=arguments.listen, workers=arguments.workers)
    return code


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
