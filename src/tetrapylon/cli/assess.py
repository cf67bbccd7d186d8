"""`tetrapylon assess`: says whether an existing gateway is worth replacing."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tetrapylon.assess import Assessment, Live, Present

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "logs",
        metavar="LOG",
        nargs="*",
        help="an access log of the gateway's, plain or compressed; - for standard input",
    )
    add(
        "--log-format",
        metavar="FORMAT",
        help="as nginx's log_format, gunicorn's access_log_format or Apache's LogFormat has it; or nginx,"
        " gunicorn, apache or combined (default: found out)",
    )
    add(
        "--upstream-log",
        metavar="LOG",
        action="append",
        default=[],
        help="an access log of a service behind the gateway, where the gateway's own has no upstream time",
    )
    add(
        "--front",
        metavar="ADDRESS=URL",
        help="measure live, in place of logs: listen there, in front of the present gateway at this URL",
    )
    add(
        "--behind",
        metavar="ADDRESS=URL",
        action="append",
        default=[],
        help="with --front: listen there for the present gateway, in front of its service at this URL",
    )
    add(
        "--for", metavar="TIME", dest="seconds", default="10m", help="how long to measure live (default: 10m)"
    )
    add("--repo", metavar="PATH", action="append", default=[], help="a git repository of the gateway's code")
    add("--present", metavar="NAME", help="the measured gateway that it is like, such as flask or nginx")
    add("--workers", metavar="N", help="worker processes, on all machines (default: as gunicorn's in --repo)")
    add("--threads", metavar="N", help="threads of a worker (default: 1)")
    add("--cores", metavar="N", help="cores that it has, on all machines")
    add("--cpu", metavar="N", help="cores that it keeps busy on average, as your monitoring says")
    add("--memory", metavar="SIZE", help="memory that it has, on all machines, such as 4GiB")
    add("--instances", metavar="N", default="1", help="machines or containers at the least (default: 1)")
    add(
        "--growth",
        metavar="RATE",
        help="of traffic, such as 8%%/month or 100%%/year (default: as in the log)",
    )
    add("--core-price", metavar="AMOUNT", help="of a core by month")
    add("--memory-price", metavar="AMOUNT", help="of a GB of memory by month")
    add("--change-cost", metavar="AMOUNT", help="of the change, once: what it is held against")
    add("-o", "--output", metavar="PATH", default="-", help="where to write it; - prints (default: -)")
    add_format(parser, "text", "json", "html")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.assess import assess
    from tetrapylon.errors import UsageError

    if not arguments.logs and not arguments.repo and not arguments.front:
        raise UsageError(
            "assess: there is nothing to look at; name an access log, or a repository with --repo, or measure"
            " live with --front"
        )
    told = assess(
        arguments.logs,
        present_of(arguments),
        upstream_logs=arguments.upstream_log,
        log_format=arguments.log_format,
        live=live_of(arguments),
    )
    text = written(told, arguments.format)
    if arguments.output == "-":
        print(text, end="")
        return 0
    try:
        with open(arguments.output, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{arguments.output} cannot be written: {error.strerror}") from None
    print(f"wrote {arguments.output}")
    return 0


def written(told: Assessment, form: str) -> str:
    if form == "json":
        import msgspec

        return msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n"
    if form == "html":
        from tetrapylon.assess.report.page import to_html

        return to_html(told)
    from tetrapylon.assess.report.text import to_text

    return to_text(told)


def live_of(arguments: argparse.Namespace) -> Live | None:
    """Raises UsageError."""
    from tetrapylon.assess import Live, hop_of
    from tetrapylon.config.units import duration
    from tetrapylon.errors import UsageError

    if not arguments.front:
        if arguments.behind:
            raise UsageError("--behind measures with --front; name it, too")
        return None
    if arguments.logs or arguments.upstream_log:
        raise UsageError("--front measures live, in place of logs; leave out one of them")
    try:
        seconds = duration(arguments.seconds)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from None
    if seconds < 1:
        raise UsageError("--for: expected at least 1s")
    behind = [hop_of(each, "--behind") for each in arguments.behind]
    return Live(hop_of(arguments.front, "--front"), behind, seconds)


def present_of(arguments: argparse.Namespace) -> Present:
    """Raises UsageError."""
    from tetrapylon.assess import Present
    from tetrapylon.config.units import size

    def number(
        name: str, read: Callable[[str], float], *, least: float = 0, most: float = 1e12
    ) -> float | None:
        from tetrapylon.errors import UsageError

        text = getattr(arguments, name)
        if text is None:
            return None
        option = f"--{name.replace('_', '-')}"
        try:
            value = read(text)
        except ValueError as error:
            kind = "a whole number" if read is int else "a number"
            raise UsageError(str(error) if read is size else f"{option}: {text!r} is not {kind}") from None
        if not least <= value <= most:
            raise UsageError(f"{option}: {text} is out of range; expected {least:g} to {most:,.0f}")
        return value

    def whole(name: str) -> int | None:
        value = number(name, int, least=1, most=1000)
        return None if value is None else int(value)

    return Present(
        like=arguments.present,
        workers=whole("workers"),
        threads=whole("threads"),
        cores=number("cores", float, least=0.01),
        cpu=number("cpu", float),
        memory=number("memory", size, least=1),
        instances=whole("instances") or 1,
        growth=arguments.growth,
        core_price=number("core_price", float),
        memory_price=number("memory_price", float),
        change_cost=number("change_cost", float),
        repositories=arguments.repo,
    )
