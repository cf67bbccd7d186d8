"""`forward_auth`: another service decides, sees what it is to see, and is not asked twice."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness import Gateway, Request, Upstream, answers, assert_problem, eventually
from tests.policies.rig import Guarded, metrics

Answer = Callable[[Request], bytes]


@contextmanager
def asking(
    answer: Answer, server: dict[str, Any] | None = None, **settings: Any
) -> Iterator[tuple[Guarded, Upstream]]:
    with Upstream(answers.each(answer)) as service, Upstream(answers.ok) as upstream:
        config = {
            "server": server or {},
            "admin": {"listen": "127.0.0.1:0"},
            "upstreams": {
                "backend": {"targets": [upstream.url]},
                "login": {"targets": [service.url], "timeouts": {"connect": "500ms"}},
            },
            "consumers": [{"name": "ada", "groups": ["staff"]}],
            "routes": [
                {
                    "path": "/{rest:path}",
                    "upstream": "backend",
                    "policies": [{"use": "forward_auth", "upstream": "login", **settings}],
                }
            ],
        }
        with Gateway(config) as gateway:
            yield Guarded(upstream, gateway), service


def yes(request: Request) -> bytes:
    return answers.response(
        headers=[("X-User", "ada"), ("X-Roles", "eu, us"), ("X-Internal", "secret"), ("X-Plan", "gold")]
    )


def test_what_the_service_sees_and_the_upstream_is_told() -> None:
    settings: dict[str, Any] = {
        "path": "/verify?a=1",
        "copy": ["X-Plan"],
        "consumer": "X-User",
        "groups": "X-Roles",
        "send": ["Cookie"],
    }
    with asking(yes, **settings) as (rig, service):
        seen = rig.passes(
            ("Cookie", "s=1"), ("Authorization", "Bearer t"), ("X-Plan", "free"), ("X_Plan", "free"),
            ("X-Forwarded-Uri", "/admin"), ("X-Consumer", "eve"),
            target="/a/../b?q=1", method="POST", body=b"body",
        )  # fmt: skip
        assert seen.body == b"body"
        assert [value for name, value in seen.headers if "plan" in name.lower()] == ["gold"]
        assert seen.headers.all("X-Consumer") == ["ada"]
        assert seen.headers.all("X-Consumer-Groups") == ["eu,staff,us"]
        assert not seen.headers.has("X-Internal")
        assert rig.logged()["consumer"] == "ada"
        (asked,) = service.requests
        assert (asked.method, asked.target, asked.body) == ("GET", "/verify?a=1", b"")
        assert asked.headers.get("Host") == service.address
        assert asked.headers.all("Cookie") == ["s=1"]
        assert not asked.headers.has("Authorization")
        assert asked.headers.all("X-Forwarded-Method") == ["POST"]
        assert asked.headers.all("X-Forwarded-Uri") == ["/b?q=1"]
        assert asked.headers.all("X-Forwarded-Host") == ["gateway.test"]
        assert asked.headers.all("X-Forwarded-Proto") == ["http"]
        assert asked.headers.all("X-Forwarded-For") == ["127.0.0.1"]


def test_the_client_behind_a_trusted_proxy() -> None:
    with asking(yes, server={"trusted_proxies": ["127.0.0.0/8"]}) as (rig, service):
        rig.passes(("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"))
        (asked,) = service.requests
        assert asked.headers.all("X-Forwarded-For") == ["192.0.2.7, 127.0.0.1"]
        assert asked.headers.all("X-Forwarded-Proto") == ["https"]


def test_a_no_reaches_the_client_as_it_is() -> None:
    def no(request: Request) -> bytes:
        return answers.response(
            b"log in first", "401 Unauthorized", [("WWW-Authenticate", "Bearer"), ("Set-Cookie", "a=1")]
        )

    with asking(no) as (rig, _):
        response = rig.ask()
        assert (response.status, response.body) == (401, b"log in first")
        assert response.headers.all("WWW-Authenticate") == ["Bearer"]
        assert response.headers.all("Set-Cookie") == ["a=1"]
        assert response.headers.all("Content-Length") == ["12"]
        assert len(response.headers.all("Date")) == 1
        assert rig.upstream.requests == []
        assert rig.logged()["error"] == "refused"
        assert rig.counted("forward_auth", "refused") == 1


def test_a_redirect_reaches_the_client() -> None:
    location = ("Location", "https://login.test/")
    with asking(lambda _: answers.response(b"", "302 Found", [location])) as (rig, _):
        response = rig.ask()
        assert (response.status, response.headers.get("Location")) == (302, "https://login.test/")


def test_anything_else_is_unavailable() -> None:
    for said in ("500 Oops", "503 Busy"):
        with asking(lambda _, said=said: answers.response(b"?", said)) as (rig, _):  # type: ignore[misc]
            response = rig.refuses(status=503, reason="unavailable")
            assert response.headers.get("Retry-After") == "1"
            assert b"?" not in response.body


def test_rubbish_silence_and_absence() -> None:
    gate = threading.Event()

    def silent(request: Request) -> bytes:
        gate.wait(10)
        return answers.response()

    with asking(silent, timeout="200ms") as (rig, _):
        rig.refuses(status=503, reason="unavailable")
        gate.set()
    with asking(lambda _: b"rubbish\r\n\r\n") as (rig, _):
        rig.refuses(status=503, reason="unavailable")
    with asking(lambda _: answers.response(b"x" * 100_000)) as (rig, _):
        rig.refuses(status=503, reason="unavailable")
    with asking(yes) as (rig, service):
        service.close()
        assert_problem(rig.ask(), 503)


def test_a_client_that_goes_away_while_it_is_asked() -> None:
    gate = threading.Event()

    def slow(request: Request) -> bytes:
        gate.wait(10)
        return answers.response()

    with asking(slow, timeout="5s") as (rig, service):
        with rig.gateway.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            service.wait_requests(1)
            client.reset()
        gate.set()
        rig.passes()
        assert len(rig.upstream.requests) == 1


def test_a_yes_is_kept_for_what_it_was_given_for() -> None:
    with asking(yes, cache="1h", copy=["X-Plan"]) as (rig, service):
        for _ in range(3):
            assert rig.passes(("Authorization", "a")).headers.get("X-Plan") == "gold"
        assert len(service.requests) == 1
        rig.passes(("Authorization", "b"))
        rig.passes(("Authorization", "a"), target="/other")
        rig.passes(("Authorization", "a"), method="POST", body=b"")
        assert len(service.requests) == 4
    with asking(yes, cache="1h", cache_by_target=False) as (rig, service):
        rig.passes(("Authorization", "a"))
        rig.passes(("Authorization", "a"), target="/other")
        assert len(service.requests) == 1
    with asking(yes) as (rig, service):
        rig.passes()
        rig.passes()
        assert len(service.requests) == 2


def test_a_no_is_not_kept() -> None:
    said = ["403 No", "200 OK"]
    with asking(lambda _: answers.response(b"", said.pop(0)), cache="1h") as (rig, _):
        assert [rig.ask().status for _ in range(3)] == [403, 200, 200]


def test_the_same_question_is_asked_once_at_a_time() -> None:
    gate = threading.Event()

    def slow(request: Request) -> bytes:
        gate.wait(10)
        return answers.response()

    with asking(slow, cache="1h", timeout="10s") as (rig, service):
        statuses: list[int] = []
        threads = [threading.Thread(target=lambda: statuses.append(rig.ask().status)) for _ in range(5)]
        for thread in threads:
            thread.start()
        service.wait_requests(1)
        eventually(lambda: in_flight(rig) == 5, "all wait")
        gate.set()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 5
        assert len(service.requests) == 1


def in_flight(rig: Guarded) -> float:
    lines = metrics(rig.gateway).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("http_server_active_requests"))
