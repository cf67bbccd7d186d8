"""From the config to the logs: where events go, and the access log."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.telemetry.log import AccessLog
from tetrapylon._core.telemetry.log_line import LineFormat
from tetrapylon.config import model
from tetrapylon.config.net import syslog_address
from tetrapylon.config.secrets import HEADERS, QUERY
from tetrapylon.config.tree import Report
from tetrapylon.errors import TetrapylonError
from tetrapylon.telemetry import events
from tetrapylon.telemetry.events import say
from tetrapylon.telemetry.syslog import Syslog

if TYPE_CHECKING:
    from tetrapylon.config.tree import Document

__all__ = ["access_log", "check", "follow", "tell"]


def check(config: model.Config, document: Document, before: model.Config | None = None) -> None:
    """Raises ConfigError for log files that cannot be written. Nothing is opened, nothing made.

    Of what is as it was `before` nothing is said: a disk that has gone since keeps no config from coming in.
    """
    log = config.log
    paths = [] if log.access is None else [(("log", "access", "path"), log.access.path)]
    paths.append((("log", "errors", "path"), log.errors.path))
    was = () if before is None else (before.log.errors.path, before.log.access and before.log.access.path)
    report = Report(document)
    for path, file in paths:
        if file == "-" or file in was or syslog_address(file) is not None:
            continue
        if obstacle := _obstacle(file):
            hint = "make it so, or choose another; `-` needs no file"
            report.add(path, f"{file} cannot be written: {obstacle}", hint)
    report.raise_if_any()


def _obstacle(file: str) -> str:
    """What keeps a file from being opened, as far as can be said without opening it; "" for nothing."""
    folder = os.path.dirname(file) or "."
    if os.path.isdir(file):
        return "it is a folder"
    if os.path.exists(file):
        return "" if os.access(file, os.W_OK) else "this user may not write it"
    if not os.path.isdir(folder):
        return f"there is no folder {folder}"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"this user may not make files in {folder}"


def follow(was: model.ErrorLog, errors: model.ErrorLog) -> None:
    """As `tell`, for a process that goes on by another config: where it cannot, all stays as it was."""
    if errors == was:
        return
    try:
        tell(errors)
    except TetrapylonError as error:
        say("error", f"{error}; events go where they went before")


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
