"""Arguments that several verbs take."""

from __future__ import annotations

import argparse

__all__ = ["add_config", "add_format"]


def add_config(parser: argparse.ArgumentParser) -> None:
    """CONFIG, by default `gateway.yaml` in the current folder."""
    parser.add_argument(
        "config",
        metavar="CONFIG",
        nargs="?",
        default="gateway.yaml",
        help="a .yaml, .toml or .json file, or MODULE:ATTRIBUTE naming a tetrapylon.Config (default: gateway.yaml)",
    )


def add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    """`--format`, by default the first of `formats`."""
    parser.add_argument(
        "--format", choices=formats, default=formats[0], help=f"how to write it (default: {formats[0]})"
    )
