"""What is written down, where, and what is left out of it."""

from __future__ import annotations

from typing import Annotated, Literal

from tetrapylon.config.model.base import Section, Text, Timeout, doc
from tetrapylon.config.net import CollectorUrl, HeaderName, HeaderValue, LogPath
from tetrapylon.config.secrets import SECRET
from tetrapylon.config.units import Share

PLACE = "`syslog:` is this machine's `/dev/log`, `syslog:/path` another socket, `syslog:host:port` UDP."


class Redact(Section, frozen=True, kw_only=True):
    """What is written as `***`, letter case and escapes aside.

    Without being asked: header fields such as `Authorization`, `Cookie` and `X-API-Key`, and query
    parameters such as `token`, `access_token`, `api_key`, `password`, `client_secret`, `code` and
    `signature`, in referers too.
    """

    headers: Annotated[tuple[HeaderName, ...], doc("Further header fields.")] = ()
    query: Annotated[tuple[Text, ...], doc("Further query parameters.")] = ()
    keep: Annotated[
        tuple[Text, ...], doc("Header fields and query parameters that carry no secrets here, after all.")
    ] = ()


class AccessLog(Section, frozen=True, kw_only=True):
    """One line a request, with the time split between gateway and upstream."""

    format: Annotated[
        Literal["json", "combined"],
        doc("A line is one JSON object, or what Apache and nginx call combined, with fewer fields."),
    ] = "json"
    path: Annotated[
        LogPath, doc(f"A file, appended to; `-` for standard output; {PLACE} USR1 opens files anew.")
    ] = "-"
    sample: Annotated[
        Share, doc("The share of answered requests to log. Errors are always logged; `0` logs them alone.")
    ] = 1.0
    headers: Annotated[
        tuple[HeaderName, ...],
        doc("Header fields of requests to write, in JSON, as far as 4096 bytes reach."),
    ] = ()
    response_headers: Annotated[
        tuple[HeaderName, ...], doc("Header fields of responses to write, likewise.")
    ] = ()
    redact: Annotated[Redact, doc("What carries secrets.")] = Redact()


class ErrorLog(Section, frozen=True, kw_only=True):
    """Events for the operator, one line each."""

    format: Annotated[Literal["text", "json"], doc("A sentence, or one JSON object.")] = "text"
    path: Annotated[
        LogPath, doc(f"A file, appended to; `-` for standard error; {PLACE} USR1 opens files anew.")
    ] = "-"
    per_minute: Annotated[
        int,
        doc(
            "Lines of one kind per minute, in each process; of further ones only the number is logged.",
            ge=1,
            le=100_000,
        ),
    ] = 20


class Log(Section, frozen=True, kw_only=True):
    """What is written down."""

    access: Annotated[AccessLog | None, doc("The access log; `none` switches it off.")] = AccessLog()
    errors: Annotated[ErrorLog, doc("Warnings and errors of the gateway itself.")] = ErrorLog()


class Traces(Section, frozen=True, kw_only=True):
    """Where the spans of sampled requests go, by OTLP over HTTP; the policy `traceparent` makes them.

    Needs `pip install "tetrapylon[otel]"`.
    """

    endpoint: Annotated[CollectorUrl, doc("The collector, such as `http://127.0.0.1:4318/v1/traces`.")]
    service: Annotated[Text, doc("`service.name` of the spans.")] = "tetrapylon"
    headers: Annotated[
        dict[HeaderName, Annotated[HeaderValue, SECRET]], doc("Header fields for the collector.")
    ] = {}
    timeout: Annotated[Timeout, doc("For the collector to take some; then they are lost, and counted.")] = 5.0
    queue: Annotated[
        int,
        doc("Spans that wait in each worker; further ones are dropped, and counted.", ge=64, le=1_000_000),
    ] = 2048
