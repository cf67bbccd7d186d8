"""`tetrapylon completion`: prints a shell's completion script."""

from __future__ import annotations

import argparse

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="whose script to print")
    parser.epilog = (
        'For bash: eval "$(tetrapylon completion bash)". Needs shtab: pip install "tetrapylon[completion]".'
    )


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.cli import build_parser
    from tetrapylon.errors import UsageError

    try:
        import shtab
    except ModuleNotFoundError:
        raise UsageError('completion needs shtab; pip install "tetrapylon[completion]"') from None
    print(shtab.complete(build_parser(complete=True), shell=arguments.shell))
    return 0
