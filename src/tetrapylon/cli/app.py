"""`tetrapylon run --app MODULE:APP`: the arguments that say how, and the config that they are."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["configure", "values"]

NAME = "app"
"""What the config calls the app."""
LISTEN = "127.0.0.1:8000"
"""Where gunicorn and uvicorn listen by default."""
TRUSTED = ("127.0.0.1", "::1")
"""Whom they believe by default."""
ONLY_HERE = ("processes", "threads", "timeout", "drain", "max_requests", "max_memory", "folder", "env")


def configure(parser: argparse.ArgumentParser) -> None:
    which = parser.add_argument_group(
        "without a config",
        "An app hosted by the gateway, in the place of gunicorn or uvicorn: see docs/apps.md",
    )
    which.add_argument(
        "--app", metavar="MODULE:APP", help="a WSGI or ASGI app, or MODULE:FUNCTION() that makes it"
    )
    which.add_argument("--wsgi", metavar="MODULE:APP", help="a WSGI app; --app finds out which it is")
    which.add_argument("--asgi", metavar="MODULE:APP", help="an ASGI app")
    which.add_argument(
        "--processes", "-w", metavar="N", type=int, help="processes that serve it (default: 1)"
    )
    which.add_argument(
        "--threads", metavar="N", type=int, help="requests that each handles at once (default: 1)"
    )
    which.add_argument(
        "--timeout",
        metavar="TIME",
        help="for a response, then 504 (default: 30s); a process that hangs this long is replaced (60s)",
    )
    which.add_argument("--drain", metavar="TIME", help="for requests in flight, when it stops (default: 30s)")
    which.add_argument("--max-requests", metavar="N", type=int, help="a process is replaced after this many")
    which.add_argument(
        "--max-memory", metavar="SIZE", help="and when it has more resident memory, such as 300MiB"
    )
    which.add_argument("--folder", metavar="PATH", help="where it runs and is imported from")
    which.add_argument(
        "--env", "-e", metavar="NAME=VALUE", action="append", help="a variable of its environment; repeatable"
    )
    which.add_argument(
        "--trusted-proxies",
        metavar="NETWORK",
        action="append",
        help="a proxy's network whose X-Forwarded-* are believed; repeatable (default: 127.0.0.1 and ::1)",
    )
    which.add_argument("--certfile", metavar="FILE", help="a certificate, PEM: it listens with TLS")
    which.add_argument("--keyfile", metavar="FILE", help="its private key, PEM")
    which.add_argument("--admin", metavar="ADDRESS", help="host:port of the admin page (default: none)")
    which.add_argument(
        "--access-log",
        metavar="FILE",
        help="where to log requests; - is standard output, none switches it off",
    )


def values(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The config that the arguments are; None where they name a config. Raises UsageError."""
    from tetrapylon.errors import UsageError

    given = [kind for kind in ("app", "wsgi", "asgi") if getattr(arguments, kind) is not None]
    if not given:
        for name in (*ONLY_HERE, "trusted_proxies", "certfile", "keyfile", "admin", "access_log"):
            if getattr(arguments, name) is not None:
                raise UsageError(f"--{name.replace('_', '-')} goes with --app; a config has a key for it")
        return None
    if len(given) > 1:
        raise UsageError(f"--{given[0]} and --{given[1]} are two apps; a config can have both")
    if arguments.config is not None:
        raise UsageError(f"there is a config, {arguments.config}, and --{given[0]}: leave one of them out")
    return {
        "server": _server(arguments),
        "admin": None if arguments.admin is None else {"listen": arguments.admin},
        "log": _log(arguments.access_log),
        "apps": {NAME: _app(arguments, given[0])},
        "routes": [{"path": "/{rest:path}", "app": NAME, "name": NAME}],
    }


def _app(arguments: argparse.Namespace, kind: str) -> dict[str, Any]:
    from tetrapylon.errors import UsageError

    reference = getattr(arguments, kind)
    told = {name: getattr(arguments, name) for name in ONLY_HERE}
    for name in ("timeout", "drain"):
        told[name] = _seconds(told[name])
    if told["timeout"] is not None:
        told["timeouts"] = {"response": told["timeout"], "idle": told["timeout"]}
    if arguments.env is not None:
        told["env"] = pairs = {}
        for each in arguments.env:
            name, equals, value = each.partition("=")
            if not equals:
                raise UsageError(f"--env {each}: expected NAME=VALUE")
            pairs[name] = value
    if kind == "app":
        from tetrapylon.apps.recognise import recognise

        kind = recognise(reference, told["folder"], told["env"] or {})
    return {kind: reference, **{name: value for name, value in told.items() if value is not None}}


def _seconds(text: str | None) -> str | float | None:
    """A bare number is seconds, as gunicorn has it."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else text


def _server(arguments: argparse.Namespace) -> dict[str, Any]:
    from tetrapylon.errors import UsageError

    if arguments.keyfile is not None and arguments.certfile is None:
        raise UsageError("--keyfile goes with --certfile")
    tls = None
    if arguments.certfile is not None:
        tls = {"cert": arguments.certfile, "key": arguments.keyfile or arguments.certfile}
    listen = [{"address": address, "tls": tls} for address in arguments.listen or [LISTEN]]
    return {"listen": listen, "trusted_proxies": arguments.trusted_proxies or list(TRUSTED)}


def _log(access: str | None) -> dict[str, Any]:
    if access is None:
        return {}
    return {"access": "none" if access == "none" else {"path": access}}
