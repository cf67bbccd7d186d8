"""`tetrapylon replay`: sends recorded requests to two services and compares the answers."""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tetrapylon.cli.arguments import add_format, header
from tetrapylon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tetrapylon.recording.recorded import Recorded

__all__ = ["configure", "requests", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="requests, one JSON object a line")
    parser.add_argument("--against", metavar="URL", required=True, help="the service that is right")
    parser.add_argument("--compare", metavar="URL", required=True, help="the service that is to answer alike")
    parser.add_argument("--rate", metavar="RATE", default="10/s", help="such as 50/s (default: %(default)s)")
    parser.add_argument(
        "--again", metavar="SHARE", default="10%%", help="what the first is asked twice (default: 10%%)"
    )
    parser.add_argument(
        "--timeout", metavar="TIME", default="10s", help="for an answer (default: %(default)s)"
    )
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="also methods other than GET, HEAD and OPTIONS, at both services",
    )
    parser.add_argument(
        "--ignore", metavar="PATH", action="append", default=[], help="a path into JSON that does not matter"
    )
    parser.add_argument(
        "-H",
        "--header",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        type=header,
        dest="headers",
        help="a field of every request, in place of what was recorded: credentials are not; may be given"
        " more than once",
    )
    add_format(parser, "text", "json")


@contextmanager
def requests(file: str) -> Iterator[Iterator[Recorded]]:
    """Those of a file. At the end it is told which lines were skipped.

    Raises UsageError where there are none: to find nothing would look as though all were well.
    """
    from tetrapylon.recording.recorded import read

    broken: list[int] = []
    count = 0

    def sound() -> Iterator[Recorded]:
        nonlocal count
        for number, found in read(file):
            if found is None:
                broken.append(number)
            else:
                count += 1
                yield found

    yield sound()
    if broken:
        lines = ", ".join(map(str, broken[:5])) + ("..." if len(broken) > 5 else "")
        print(f"tetrapylon: {len(broken)} broken lines were skipped ({lines})", file=sys.stderr)
    if not count:
        raise UsageError(f"{file}: there is no request in it")


def run(arguments: argparse.Namespace) -> int:
    import json

    from tetrapylon.cli.diff import show
    from tetrapylon.config.units import duration, rate, share
    from tetrapylon.diff import Rules
    from tetrapylon.recording.replay import Service, replay

    try:
        pace, again = rate(arguments.rate), share(arguments.again.replace("%%", "%"))
        patience = duration(arguments.timeout)
        rules = Rules(ignore=arguments.ignore)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if pace <= 0 or patience <= 0:
        raise UsageError("--rate and --timeout have to be above 0")
    first, second = (Service.at(url, patience) for url in (arguments.against, arguments.compare))
    with requests(arguments.file) as recorded:
        findings, left_out = replay(
            recorded,
            first,
            second,
            headers=arguments.headers,
            rate=pace,
            again=again,
            unsafe=arguments.unsafe,
            rules=rules,
        )
    if left_out.unsafe:
        print(
            f"tetrapylon: {left_out.unsafe} requests that change something were left out;"
            " --unsafe sends them",
            file=sys.stderr,
        )
    if left_out.bodiless:
        print(
            f"tetrapylon: {left_out.bodiless} requests were left out, for their bodies were not recorded",
            file=sys.stderr,
        )
    if left_out.unanswered:
        print(
            f"tetrapylon: {left_out.unanswered} requests could not be compared, for {arguments.against} had"
            f" no answer to them: {left_out.why}",
            file=sys.stderr,
        )
    told = findings.told()
    if arguments.format == "json":
        print(json.dumps(told, indent=2))
    else:
        show(told)
    return 1 if not told or left_out.unanswered or any(route["different"] for route in told) else 0
