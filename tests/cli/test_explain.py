"""Which route a request takes, and why the nearest others do not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run

CONFIG = """\
upstreams: {users: {targets: [http://127.0.0.1:9000]}}
routes:
  - {path: "/users/{id:int}", methods: [GET], upstream: users, rewrite: "/v2/{id}"}
  - {path: "/users/{id}", upstream: users}
  - {path: "/users/{id}", upstream: users, host: "*.example.com", methods: [POST]}
  - {path: "/users/me", upstream: users, headers: {X-Tenant: acme}}
  - {path: "/files/{rest:path}", upstream: users, rewrite: "/x/{rest}"}
  - {path: /ping, respond: {body: pong}, methods: [GET]}
"""


Explain = Callable[..., tuple[int, str]]


@pytest.fixture
def explain(tetrapylon: Run, tmp_path: Path) -> Explain:
    (tmp_path / "gateway.yaml").write_text(CONFIG)

    def run(*arguments: str) -> tuple[int, str]:
        done = tetrapylon("explain", "gateway.yaml", *arguments)
        assert done.stderr == ""
        return done.returncode, done.stdout

    return run


def test_the_route_its_destination_and_what_is_sent(explain: Explain) -> None:
    code, text = explain("GET", "/users/../users/%37?a=b")
    assert code == 0
    assert text.startswith(
        "route        GET /users/{id:int}  (gateway.yaml:3)\n"
        "parameters   id=7\n"
        "policies     none\n"
        "destination  upstream users as /v2/{id}\n"
        "sent as      GET /v2/7?a=b\n"
    )


@pytest.mark.parametrize(
    ("arguments", "route", "reason"),
    [
        (("GET", "/users/7"), "GET /users/{id:int}", "less specific"),
        (("GET", "/users/abc"), "* /users/{id}", "segment 2 of the path is 'abc', no integer"),
        (("POST", "/users/7"), "* /users/{id}", "the method is POST, not GET"),
        (("POST", "http://a.example.com:8080/users/x"), "POST *.example.com /users/{id}", "less specific"),
        (
            ("POST", "/users/x", "-H", "Host: b.org"),
            "* /users/{id}",
            "the host is 'b.org', not '*.example.com'",
        ),
        (("GET", "/users/me"), "* /users/{id}", "the header x-tenant is missing"),
        (
            ("GET", "/users/me", "-H", "X-tenant: b"),
            "* /users/{id}",
            "the header x-tenant is 'b', not 'acme'",
        ),
        (("GET", "/users/me", "-H", "X-tenant: acme"), "* /users/me", "less specific"),
    ],
)
def test_why_the_nearest_others_lose(
    explain: Explain, arguments: tuple[str, ...], route: str, reason: str
) -> None:
    code, text = explain(*arguments)
    assert code == 0
    assert text.startswith(f"route        {route}  (gateway.yaml:")
    losers = text.partition("\nnearest others\n")[2]
    assert reason in losers
    assert f"\n  {route}  (" not in f"\n{losers}"


def test_escapes_stay_in_what_is_sent(explain: Explain) -> None:
    _, text = explain("GET", "/files/a%2Fb/c%20d")
    assert "sent as      GET /x/a%2Fb/c%20d\n" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("GET", "/nothing"), "no route takes /nothing: 404\n"),
        (("POST", "/ping"), "no route takes POST here: 405, Allow: GET, HEAD, OPTIONS\n"),
        (("GET", "/ping/"), "no route takes /ping/: 404\n\nnearest others\n  GET /ping  (gateway.yaml:8)\n"),
    ],
)
def test_no_route_is_exit_status_1(explain: Explain, arguments: tuple[str, ...], said: str) -> None:
    code, text = explain(*arguments)
    assert code == 1
    assert said in text


def test_as_json(explain: Explain) -> None:
    code, text = explain("GET", "/users/7?x", "--format", "json")
    found = json.loads(text)
    assert code == 0
    assert found["route"]["at"] == "gateway.yaml:3"
    assert found["params"] == {"id": "7"}
    assert found["target"] == "/v2/7?x"
    assert found["others"][0]["route"]["path"] == "/users/{id}"
    assert found["others"][0]["reason"]
    code, text = explain("GET", "/nothing", "--format", "json")
    assert code == 1
    assert json.loads(text)["route"] is None
