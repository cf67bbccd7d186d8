"""What each policy adds to a proxied request, in instructions: for `benchmarks.budgets`.

One gateway has a route for each (peers/tetrapylon/policies.yaml); what a route costs more than one without
policies is the policy's. Where a policy answers by itself, the whole request is what is counted.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from .e2e.load import Scenario

CONFIG = "policies.yaml"
SECRET = b"0123456789abcdef0123456789abcdef"
LENGTH = ("--expect-length", "203")


def bearer() -> list[str]:
    def part(text: bytes) -> bytes:
        return base64.urlsafe_b64encode(text).rstrip(b"=")

    said = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(b'{"sub":"mobile"}')
    token = said + b"." + part(hmac.digest(SECRET, said, "sha256"))
    return [f"Authorization: Bearer {token.decode()}"]


def signature() -> list[str]:
    """RFC 9421, of what `hmac` wants covered."""
    covers = f'("@method" "@authority" "@path" "@query");created={int(time.time())};keyid="mobile-1"'
    lines = ['"@method": GET', '"@authority": api.example.com', '"@path": /hmac', '"@query": ?']
    said = "\n".join([*lines, f'"@signature-params": {covers}'])
    signed = base64.b64encode(hmac.new(SECRET, said.encode(), hashlib.sha256).digest()).decode()
    return [f"Signature-Input: sig={covers}", f"Signature: sig=:{signed}:"]


def fields(*lines: str) -> Callable[[], list[str]]:
    return lambda: list(lines)


KEY = fields("X-API-Key: mobile-key-1")


@dataclass(frozen=True)
class Counting:
    """`behind`: what is taken off is the count of this name. `whole`: nothing is taken off.

    `secure`: it comes over TLS, with a client certificate.
    """

    name: str
    said: Callable[[], list[str]] = list
    behind: str = "plain"
    whole: bool = False
    secure: bool = False
    expect: tuple[str, ...] = LENGTH

    def scenario(self) -> Scenario:
        headers = [word for line in self.said() for word in ("--header", line)]
        return Scenario(self.name, self.name, ("--path", f"/{self.name}", *self.expect, *headers))


ANONYMOUS = "Authorization: "
"""Leaves out the one that the load's requests have otherwise."""
BASES = (Counting("plain"), Counting("small"), Counting("secure", secure=True))
COUNTED = (
    Counting("acl", KEY, behind="api_key"),
    Counting("api_key", KEY),
    Counting("bot"),
    Counting("cache", fields(ANONYMOUS), whole=True),
    Counting("cache-miss", fields(ANONYMOUS)),
    Counting("cache-store", fields(ANONYMOUS, "Cache-Control: no-cache")),
    Counting("compress", fields("Accept-Encoding: gzip"), expect=()),
    Counting("concurrency"),
    Counting("cors", fields("Origin: https://shop.example")),
    Counting("decompress"),
    Counting("fault"),
    Counting("filter"),
    Counting("forward_auth"),
    Counting("headers"),
    Counting("hmac", signature),
    Counting("ip"),
    Counting("jwt", bearer),
    Counting("maintenance"),
    Counting("mirror"),
    Counting("mtls", behind="secure", secure=True),
    Counting("quota"),
    Counting("rate_limit"),
    Counting("record"),
    Counting("redirect"),
    Counting("request_id"),
    Counting("rewrite", behind="small"),
    Counting("security_headers"),
    Counting("server_timing"),
    Counting("traceparent"),
    Counting("transform", expect=()),
    Counting("validate"),
    # The last one: it starts a thread, and from then on the C library has more to do at each system call.
    Counting("basic", fields("Authorization: Basic " + base64.b64encode(b"mobile:horse").decode())),
)
MARGIN = 800
TOLERANCE = 0.1
"""What a count may move by: the loop's own timers are counted with the few requests, and OpenSSL and the
regular expressions of a library take other ways on other processors."""


def costs(count: Callable[[Counting], float], names: frozenset[str] = frozenset()) -> dict[str, int]:
    """Instructions by policy; of all, or of those named. `count` gives those of a request."""
    wanted = [each for each in COUNTED if not names or each.name in names]
    found: dict[str, float] = {}
    for each in (*BASES, *COUNTED):
        if each in wanted or any(one.behind == each.name for one in wanted):
            found[each.name] = count(each)
    return {each.name: round(found[each.name] - (0 if each.whole else found[each.behind])) for each in wanted}
