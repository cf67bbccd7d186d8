"""`tetrapylon check`: validates a config without serving."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_config

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.config import load

    config = load(arguments.config)
    counts = f"{_count(len(config.routes), 'route')}, {_count(len(config.upstreams), 'upstream')}"
    print(f"{arguments.config}: fine ({counts})")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
