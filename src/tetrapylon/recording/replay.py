"""Recorded requests, sent again to two services at a given pace, and the answers compared."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from tetrapylon.diff import Answer, Findings, Rules
from tetrapylon.diff.findings import Pair
from tetrapylon.errors import UsageError
from tetrapylon.recording.recorded import Recorded

__all__ = ["Service", "replay"]

SAFE = ("GET", "HEAD", "OPTIONS")
AT_ONCE = 16
"""Requests under way."""
FIRST = 20
"""Safe requests that the first service is asked twice in any case, so that noise is known soon."""
LARGEST = 1 << 22
ASCII = "".join(map(chr, range(0x21, 0x7F)))
FRAMING = (
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "upgrade",
    "keep-alive",
    "te",
)


class Service(NamedTuple):
    secure: bool
    host: str
    port: int | None
    prefix: str
    timeout: float

    @classmethod
    def at(cls, url: str, timeout: float) -> Service:
        """Raises UsageError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{url!r} is no URL: {error}") from None
        if parts.username is not None or parts.password is not None:
            raise UsageError(
                f"{parts.hostname}: a URL of a service has no user; give credentials by --header"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise UsageError(f"{url!r} is no service; expected one such as http://127.0.0.1:8000")
        return cls(parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/"), timeout)

    def ask(self, request: Recorded, more: Sequence[tuple[str, str]] = ()) -> Answer:
        """`more` are fields that take the place of the request's own."""
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=self.timeout)
        try:
            body = None if request.body is None else request.body.encode()
            target = quote(self.prefix + request.target, safe=ASCII, encoding="latin-1")
            connection.putrequest(request.method, target, skip_accept_encoding=True)
            replaced = {*FRAMING, *(name.lower() for name, _ in more)}
            for name, value in [each for each in request.headers if each[0].lower() not in replaced]:
                connection.putheader(name, value)
            for name, value in more:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read(LARGEST + 1)
        except TimeoutError:
            return Answer(0, fault="timeout")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(0, fault=str(error) or type(error).__name__)
        finally:
            connection.close()
        if len(content) > LARGEST:
            return Answer(0, fault=f"a body of more than {LARGEST} bytes")
        fields = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.getheaders()
        ]
        return Answer(response.status, fields, content)


class LeftOut(NamedTuple):
    """Requests that were not compared."""

    unsafe: int
    """Because they change something."""
    bodiless: int
    """Because their bodies were not recorded."""
    unanswered: int
    """Those that were sent, and that the first service had no answer to: there is nothing to compare with."""
    why: str
    """Why it had none to the last of them."""


def replay(
    requests: Iterable[Recorded],
    first: Service,
    second: Service,
    *,
    headers: Sequence[tuple[str, str]] = (),
    rate: float,
    again: float,
    unsafe: bool,
    rules: Rules,
) -> tuple[Findings, LeftOut]:
    """What was found, and what was left out.

    `headers` are fields of every request; `rate` is in requests a second, 0 for as fast as it goes; `again`
    the share that the first is asked twice.
    """
    findings, lock = Findings(), threading.Lock()
    room = threading.Semaphore(2 * AT_ONCE)
    changing = bodiless = unanswered = 0
    why = ""

    def work(request: Recorded, twice: bool) -> None:
        nonlocal unanswered, why
        try:
            one, other = first.ask(request, headers), second.ask(request, headers)
            if one.fault:
                with lock:
                    unanswered, why = unanswered + 1, one.fault
                return
            repeated = first.ask(request, headers) if twice else None
            route = request.route or f"{request.method} {request.target.partition('?')[0]}"
            pair = Pair(route, request.method, request.target, one, other, repeated)
            with lock:
                findings.take(pair, rules)
        finally:
            room.release()

    began = time.monotonic()
    sent, owed = 0, 0.0
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="replay") as pool:
        under_way: list[Future[None]] = []
        for request in requests:
            safe = request.method in SAFE
            if not safe and not unsafe:
                changing += 1
                continue
            if request.left_out:
                bodiless += 1
                continue
            if rate:
                time.sleep(max(0.0, began + sent / rate - time.monotonic()))
            owed += again
            twice = safe and (sent < FIRST or owed >= 1.0)
            if owed >= 1.0:
                owed -= 1.0
            sent += 1
            room.acquire()
            under_way = [each for each in under_way if not each.done() or each.exception() is not None]
            under_way.append(pool.submit(work, request, twice))
        for each in under_way:
            each.result()
    return findings, LeftOut(changing, bodiless, unanswered, why)
