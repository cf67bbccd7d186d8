"""`tetrapylon assess`: says whether an existing gateway is worth replacing."""

from __future__ import annotations

import argparse

from tetrapylon.cli.arguments import add_format

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tetrapylon.assess import Present

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
    add_format(parser, "text", "json")


def run(arguments: argparse.Namespace) -> int:
    from tetrapylon.assess import assess
    from tetrapylon.errors import UsageError

    if not arguments.logs and not arguments.repo:
        raise UsageError(
            "assess: there is nothing to look at; name an access log, or a repository with --repo"
        )
    told = assess(
        arguments.logs,
        present_of(arguments),
        upstream_logs=arguments.upstream_log,
        log_format=arguments.log_format,
    )
    if arguments.format == "json":
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        from tetrapylon.assess.show import to_text

        print(to_text(told), end="")
    return 0


def present_of(arguments: argparse.Namespace) -> Present:
    """Raises UsageError."""
    from tetrapylon.assess import Present
    from tetrapylon.config.units import size

    def number(name: str, read: Callable[[str], float], *, least: float = 0) -> float | None:
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
        if not least <= value < 1e12:
            raise UsageError(f"{option}: {text} is out of range; expected at least {least:g}")
        return value

    def whole(name: str) -> int | None:
        value = number(name, int, least=1)
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
