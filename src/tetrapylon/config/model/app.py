"""Hosted apps: WSGI and ASGI apps in processes of their own."""

from __future__ import annotations

from typing import Annotated

from tetrapylon.config.model.base import Count, Section, Text, Timeout, doc
from tetrapylon.config.model.upstream import ActiveHealth, Health, Pool, Retry, UpstreamTimeouts
from tetrapylon.config.units import Duration


class App(Section, frozen=True, kw_only=True):
    """A WSGI or ASGI app, run in processes of its own; it is an upstream of this name, too."""

    wsgi: Annotated[Text | None, doc("The app, as `module:name`; run by gunicorn.")] = None
    asgi: Annotated[Text | None, doc("The app, as `module:name`; run by uvicorn.")] = None
    processes: Annotated[int, doc("Processes that serve it.", ge=1, le=256)] = 1
    threads: Annotated[int, doc("Threads of each that serve it, of a WSGI app.", ge=1, le=1024)] = 1
    folder: Annotated[Text | None, doc("Where it runs; the working directory when left out.")] = None
    env: Annotated[dict[Text, str], doc("Variables of its environment, beside the gateway's own.")] = {}
    max_requests: Annotated[
        Count | None, doc("A process ends after so many, a tenth more or less, and another takes its place.")
    ] = None
    timeout: Annotated[
        Timeout, doc("Of a WSGI app: a process that is silent for longer is killed and replaced.")
    ] = 30.0
    drain: Annotated[Duration, doc("Requests in flight may take so long when it is replaced.")] = 30.0
    timeouts: Annotated[UpstreamTimeouts, doc("How long its answers may take.")] = UpstreamTimeouts()
    pool: Annotated[Pool, doc("Connections to it.")] = Pool()
    retry: Annotated[Retry | None, doc("When a request is sent again; never when left out.")] = None
    health: Annotated[Health, doc("When it is fit to be sent requests: while connections open.")] = Health(
        active=ActiveHealth(interval=1.0, healthy=1, unhealthy=1)
    )
