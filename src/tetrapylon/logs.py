"""From the config to the logs: where events go, and the access log."""

from __future__ import annotations

from tetrapylon import events
from tetrapylon._core.counters import Slab
from tetrapylon._core.log import AccessLog
from tetrapylon._core.log_line import LineFormat
from tetrapylon.config import model
from tetrapylon.config.net import syslog_address
from tetrapylon.config.secrets import HEADERS, QUERY
from tetrapylon.errors import TetrapylonError
from tetrapylon.events import say
from tetrapylon.syslog import Syslog

__all__ = ["access_log", "tell"]


def tell(errors: model.ErrorLog) -> None:
    """Sends the events of this process, and of those that it forks, where the config says.

    Raises TetrapylonError for a file that cannot be opened.
    """
    where = syslog_address(errors.path)
    try:
        syslog = None if where is None else Syslog(where)
        events.configure(errors.format, errors.path, errors.per_minute, syslog)
    except OSError as error:
        raise TetrapylonError(f"log.errors.path: {error.strerror}: {errors.path}") from None


def access_log(access: model.AccessLog, slab: Slab) -> AccessLog:
    """Raises TetrapylonError for a file that cannot be opened."""
    kept = {_folded(name) for name in access.redact.keep}
    format = LineFormat(
        access.format,
        headers=access.headers,
        response_headers=access.response_headers,
        secret_headers=[n for n in (*HEADERS, *access.redact.headers) if _folded(n) not in kept],
        secret_parameters=[n for n in (*QUERY, *access.redact.query) if _folded(n) not in kept],
    )
    where = syslog_address(access.path)
    try:
        return AccessLog(
            1 if access.path == "-" else access.path if where is None else Syslog(where),
            format=format,
            sample=access.sample,
            slab=slab,
            on_error=lambda error: say(
                "error", f"access log: {error}; lines are kept while there is room, then dropped"
            ),
            on_drops=lambda count: say("warning", f"access log: {count} lines were dropped"),
            on_recovery=lambda: say("warning", "access log: lines are written again"),
        )
    except OSError as error:
        raise TetrapylonError(f"log.access.path: {error.strerror}: {access.path}") from None


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
