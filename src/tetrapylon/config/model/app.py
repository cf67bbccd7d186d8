"""Hosted apps: WSGI and ASGI apps in processes of their own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tetrapylon.config.model.base import Count, Section, Text, Timeout, doc
from tetrapylon.config.model.upstream import Health, Pool, Retry, UpstreamTimeouts
from tetrapylon.config.units import Duration, Size


class App(Section, frozen=True, kw_only=True):
    """A WSGI or ASGI app, run in processes of its own; it is an upstream of this name, too."""

    wsgi: Annotated[
        Text | None, doc("The app, `module:name`, or `module:function()` for what that makes; by gunicorn.")
    ] = None
    asgi: Annotated[Text | None, doc("Likewise an ASGI app; by uvicorn.")] = None
    processes: Annotated[int, doc("Processes that serve it.", ge=1, le=256)] = 1
    threads: Annotated[
        int, doc("Requests that each of them works on at once, of a WSGI app.", ge=1, le=1024)
    ] = 1
    folder: Annotated[
        Text | None, doc("Where it runs and is imported from; the working directory when left out.")
    ] = None
    env: Annotated[dict[Text, str], doc("Variables of its environment, beside the gateway's own.")] = {}
    startup: Annotated[
        Timeout, doc("From a process's start until it serves; longer: it is killed, and tried again later.")
    ] = 30.0
    timeout: Annotated[
        Timeout | None,
        doc(
            "A request hangs when it makes no progress for this long, and for an ASGI app its client has"
            " gone: the log says where. A process is replaced when all its requests hang; `none`: never."
        ),
    ] = 60.0
    max_requests: Annotated[
        Count | None, doc("A process is replaced after so many, a tenth more or less.")
    ] = None
    max_memory: Annotated[
        Annotated[Size, Meta(ge=2**20, le=2**46)] | None,
        doc("A process is replaced that has more resident."),
    ] = None
    warmup: Annotated[
        Timeout | None,
        doc(
            "How long a process that serves may gain memory without a word. If it grows steadily after that,"
            " the log says so, where there is no `max_memory`; `none`: never."
        ),
    ] = 600.0
    drain: Annotated[Duration, doc("Requests in flight may take so long when a process is replaced.")] = 30.0
    log_lines: Annotated[
        int, doc("Lines of its output a second that go to the log; more are counted.", ge=1, le=1_000_000)
    ] = 1000
    forwarded: Annotated[
        bool,
        doc(
            "Whether it is shown this gateway's `Via` and `X-Forwarded-*`, as behind a proxy; otherwise it"
            " sees requests as though they had come to itself."
        ),
    ] = False
    timeouts: Annotated[UpstreamTimeouts, doc("How long its answers may take.")] = UpstreamTimeouts()
    pool: Annotated[Pool, doc("Connections to it.")] = Pool()
    retry: Annotated[Retry | None, doc("When a request is sent again; never when left out.")] = None
    health: Annotated[Health, doc("Which of its processes are fit to be sent requests.")] = Health()
