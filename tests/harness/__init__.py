"""Raw client, programmable upstream, and the gateway as a process: what end-to-end tests are made of.

with Upstream(answers.echo) as upstream, Gateway(proxy(upstream.url)) as gateway, gateway.client() as client:
    assert client.ask("GET", "/users/1").status == 200
"""

from tests.harness import answers, secure
from tests.harness.client import Client, ask, request
from tests.harness.gateway import Gateway, proxy, routed
from tests.harness.leaks import Growth
from tests.harness.rig import Rig, assert_problem, through, wait_taken
from tests.harness.upstream import Conversation, Script, Upstream
from tests.harness.wait import eventually, promptly
from tests.harness.wire import LAST_CHUNK, Reader, Request, Response, Truncated, WireError, chunk

__all__ = [
    "LAST_CHUNK",
    "Client",
    "Conversation",
    "Gateway",
    "Growth",
    "Reader",
    "Request",
    "Response",
    "Rig",
    "Script",
    "Truncated",
    "Upstream",
    "WireError",
    "answers",
    "ask",
    "assert_problem",
    "chunk",
    "eventually",
    "promptly",
    "proxy",
    "request",
    "routed",
    "secure",
    "through",
    "wait_taken",
]
