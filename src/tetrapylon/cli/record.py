"""`tetrapylon record`: the requests that the running gateway has recorded."""

from __future__ import annotations

import argparse

from tetrapylon.cli.remote import add_admin

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_admin(parser)
    parser.add_argument(
        "--out", metavar="FILE", help="where to write them, one JSON object a line (default: standard output)"
    )
    parser.add_argument("--status", action="store_true", help="only say how many bytes there are, and where")
    parser.add_argument("--forget", action="store_true", help="remove what was recorded")


def run(arguments: argparse.Namespace) -> int:
    import os
    import sys

    from tetrapylon.cli.remote import ask, ask_raw, reach
    from tetrapylon.errors import TetrapylonError

    admin = reach(arguments)
    if arguments.forget:
        print(f"forgotten: {ask(admin, 'POST', '/record/forget')['forgotten']}")
        return 0
    if arguments.status:
        told = ask(admin, "GET", "/record")
        print(f"{told['file']}: {told['bytes']} of {told['size']} bytes")
        return 0
    pieces = ask_raw(admin, "GET", "/record/requests")
    if arguments.out is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return 0
    try:
        count = 0
        with os.fdopen(os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            for piece in pieces:
                file.write(piece)
                count += piece.count(b"\n")
    except OSError as error:
        raise TetrapylonError(f"{arguments.out} cannot be written: {error.strerror}") from None
    print(f"{arguments.out}: {count} requests")
    return 0
