"""`tetrapylon assess`: says whether an existing gateway is worth replacing."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_format

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "logs",
        metavar="LOG",
        nargs="+",
        help="an access log of the gateway's, plain or compressed; - for standard input",
    )
    parser.add_argument(
        "--log-format",
        metavar="FORMAT",
        help="as nginx's log_format, gunicorn's access_log_format or Apache's LogFormat has it; or nginx,"
        " gunicorn, apache or combined (default: found out)",
    )
    parser.add_argument(
        "--upstream-log",
        metavar="LOG",
        action="append",
        default=[],
        help="an access log of a service behind the gateway, where the gateway's own has no upstream time",
    )
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.assess import assess

    told = assess(arguments.logs, upstream_logs=arguments.upstream_log, log_format=arguments.log_format)
    if arguments.format == "json":
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        from tetrapylon.assess.show import to_text

        print(to_text(told), end="")
    return 0
