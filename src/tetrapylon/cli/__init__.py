"""The command line. Each verb is a module of its own, imported when it is called for.

A verb's module has `configure(parser)`, which adds its arguments, and `run(arguments) -> exit code`. What it
works with is imported in `run`, so that `--help` stays quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from tetrapylon._version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["build_parser", "main"]

FINE, FAILED, BAD = 0, 1, 2

VERBS = {
    "run": "run the gateway",
    "check": "validate a config without serving",
    "routes": "print the table of routes",
    "explain": "show which route a request takes, and why",
    "audit": "find security and reliability problems in a valid config",
    "reload": "make the running gateway reload its config",
    "status": "show the state of the running gateway",
    "history": "list the last configs that were in force",
    "rollback": "make the running gateway go back to an earlier config",
    "diff": "show how a second service's answers differ",
    "move": "show routes that move to another upstream, approve or undo a step",
    "record": "export the requests that the running gateway has recorded",
    "replay": "send recorded requests to two services and compare the answers",
    "init": "write a commented starter config",
    "migrate": "write a config that serves an existing app, route by route",
    "assess": "tell from its access log whether a gateway is worth replacing",
    "schema": "print the config's JSON Schema or its reference",
    "completion": "print a completion script for the shell",
}


class VerbParser(argparse.ArgumentParser):
    """A verb's parser; asks the verb's module for the arguments once they are needed."""

    def __init__(self, *, verb: str, **options: Any) -> None:
        super().__init__(**options)
        self.verb = verb
        self.configured = False

    def configure(self) -> None:
        if not self.configured:
            self.configured = True
            module = import_module(f"tetrapylon.cli.{self.verb}")
            module.configure(self)
            self.set_defaults(run=module.run)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.configure()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(BAD, f"{self.prog}: {message}; see `{self.prog} --help`\n")


class Parser(argparse.ArgumentParser):
    """The command's own parser."""

    def error(self, message: str) -> NoReturn:
        if "invalid choice: " in message:
            from difflib import get_close_matches

            given = message.partition("invalid choice: '")[2].partition("'")[0]
            close = get_close_matches(given, VERBS, 1)
            message = f"there is no verb {given!r}" + (f"; did you mean {close[0]}?" if close else "")
        self.exit(BAD, f"{self.prog}: {message}; see `{self.prog} --help`\n")


def build_parser(*, complete: bool = False) -> argparse.ArgumentParser:
    """The parser; with `complete`, every verb's arguments are there at once."""
    parser = Parser(
        prog="tetrapylon",
        description="An API gateway that a Python team can own.",
        epilog="Exit status: 0 fine, 1 failed while running, 2 bad usage or bad config.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tetrapylon {VERSION}")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=VerbParser)
    for verb, summary in VERBS.items():
        own = verbs.add_parser(
            verb,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            allow_abbrev=False,
            verb=verb,
        )
        if complete:
            own.configure()
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with `argv` (by default the process's own). Returns the exit code."""
    from tetrapylon.errors import ConfigError, TetrapylonError, UsageError

    try:
        try:
            arguments = build_parser().parse_args(argv)
            code: int = arguments.run(arguments)
        except ConfigError as error:
            from tetrapylon.cli.style import print_problems

            print_problems(error.problems)
            code = BAD
        except TetrapylonError as error:
            from tetrapylon.cli.style import harmless

            print(f"tetrapylon: {harmless(str(error))}", file=sys.stderr)
            code = BAD if isinstance(error, UsageError) else FAILED
        except SystemExit as stop:  # argparse: --help, --version, bad usage
            code = stop.code if isinstance(stop.code, int) else FINE
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone, as in `| head`. The interpreter flushes once more at exit: give it a place.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130
    return code
