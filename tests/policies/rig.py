"""One gateway for a module's tests: an upstream that answers 200, and the policy under test before it."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness import (
    Client,
    Gateway,
    Request,
    Response,
    Upstream,
    answers,
    ask,
    assert_problem,
    eventually,
    proxy,
    request,
)

Fields = Iterable[tuple[str, str]]


class Guarded:
    """A gateway that asks every request for something."""

    def __init__(self, upstream: Upstream, gateway: Gateway) -> None:
        self.upstream = upstream
        self.gateway = gateway
        self.asked = 0

    def ask(
        self, *fields: tuple[str, str], target: str = "/", method: str = "GET", body: bytes | None = None
    ) -> Response:
        self.asked += 1
        return ask(self.gateway.address, method, target, fields, body)

    def logged(self) -> dict[str, Any]:
        """The log's line of the last request."""
        eventually(lambda: len(self.gateway.log) >= self.asked, "it is logged")
        return self.gateway.access_log[self.asked - 1]

    def passes(self, *fields: tuple[str, str], target: str = "/", **more: Any) -> Request:
        """The request as the upstream saw it."""
        before = len(self.upstream.requests)
        response = self.ask(*fields, target=target, **more)
        assert response.status == 200, (response, response.body)
        return self.upstream.wait_requests(before + 1)[before]

    def refuses(
        self, *fields: tuple[str, str], status: int, reason: str, target: str = "/", **more: Any
    ) -> Response:
        """The refusal, which the upstream never saw and the log names."""
        before = len(self.upstream.requests)
        response = self.ask(*fields, target=target, **more)
        assert_problem(response, status)
        assert json.loads(response.body)["reason"] == reason
        assert len(self.upstream.requests) == before
        assert self.logged()["error"] == reason
        assert response.headers.has("WWW-Authenticate") == (status == 401)
        return response

    def says_nothing_of(self, *secrets: str) -> None:
        """Neither log nor standard error have any of these."""
        eventually(lambda: len(self.gateway.log) >= self.asked, "all is logged")
        for secret in secrets:
            assert secret
            assert not any(secret in line for line in [*self.gateway.log, *self.gateway.lines]), secret

    def counted(self, policy: str, reason: str) -> float:
        """How many requests were refused for it, as `/metrics` has it."""
        line = f'tetrapylon_policy_refusals_total{{policy="{policy}",reason="{reason}"}} '
        text = metrics(self.gateway)
        return sum(float(each.removeprefix(line)) for each in text.splitlines() if each.startswith(line))


@contextmanager
def guarded(*policies: dict[str, Any], **config: Any) -> Iterator[Guarded]:
    """A gateway with these policies on every route; `config` as for `proxy`."""
    with (
        Upstream(answers.ok) as upstream,
        Gateway(
            proxy(upstream.url, policies=list(policies), admin={"listen": "127.0.0.1:0"}, **config)
        ) as gateway,
    ):
        yield Guarded(upstream, gateway)


def metrics(gateway: Gateway) -> str:
    """What `/metrics` says; the admin address answers to no other name."""
    assert gateway.admin is not None
    with Client(gateway.admin) as client:
        return client.send(request("GET", "/metrics", host="127.0.0.1")).response().body.decode()


def sha256(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()
