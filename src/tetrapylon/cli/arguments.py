"""Arguments that several verbs take."""

from __future__ import annotations

import argparse

__all__ = ["CONFIG", "add_config", "add_format", "header"]

CONFIG = "gateway.yaml"


def add_config(
    parser: argparse.ArgumentParser, *, required: bool = False, default: str | None = CONFIG
) -> None:
    """CONFIG; unless `required`, by default `gateway.yaml` in the current folder, or what `default` says."""
    text = "a .yaml, .toml or .json file, or MODULE:ATTRIBUTE naming a Config"
    if required:
        parser.add_argument("config", metavar="CONFIG", help=text)
        return
    parser.add_argument(
        "config",
        metavar="CONFIG",
        nargs="?",
        default=default,
        help=f"{text} (default: {CONFIG})",
    )


def add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    """`--format`, by default the first of `formats`."""
    parser.add_argument(
        "--format", choices=formats, default=formats[0], help=f"how to write it (default: {formats[0]})"
    )


def header(text: str) -> tuple[str, str]:
    """NAME:VALUE, for argparse."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not a header; expected NAME:VALUE")
    from tetrapylon.config.net import TOKEN
    from tetrapylon.recording.recorded import NO_VALUE

    name, value = name.strip(), value.strip()
    if not TOKEN.fullmatch(name) or NO_VALUE.search(value):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be sent as a header (RFC 9110, 5.1 and 5.5)")
    return name, value
