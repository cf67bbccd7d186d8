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
        "targets      http://127.0.0.1:9000\n"
        "sent as      GET /v2/7?a=b\n"
        "limits       body none  (the default of server.limits.body)\n"
        "timeouts     header 10s  (the default of server.timeouts.header)\n"
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
    assert [each["wins"] for each in found["candidates"]].count(True) == 1
    losers = [each for each in found["candidates"] if not each["wins"]]
    assert losers[0]["route"]["path"] == "/users/{id}"
    assert losers[0]["reason"]
    code, text = explain("GET", "/nothing", "--format", "json")
    assert code == 1
    found = json.loads(text)
    assert (found["route"], found["status"], found["allowed"]) == (None, 404, [])


SETTINGS = """\
server: {limits: {body: 1MiB}, timeouts: {header: 3s}}
upstreams:
  users:
    targets: ["http://${HOST}:9000", {url: "http://127.0.0.1:9001", weight: 2}]
    timeouts: {response: 7s}
policies: [{use: request_id, trust: true}]
routes:
  - path: /a
    upstream: users
    headers: {X-Api-Key: "sesame-1", X-Tenant: "${TENANT}"}
    timeouts: {total: 9s, idle: none}
    policies: [{use: request_id, header: "${TENANT}"}]
  - {path: /b, respond: {}}
"""


def test_settings_limits_and_timeouts_say_where_they_come_from(tetrapylon: Run, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    asked = ["GET", "/a", "-H", "X-Api-Key: sesame-1", "-H", "X-Tenant: sesame-2"]
    filled = {"HOST": "127.0.0.2", "TENANT": "sesame-2"}
    done = tetrapylon("explain", "gateway.yaml", *asked, "--format", "json", **filled)
    found = json.loads(done.stdout)
    assert found["policies"] == [
        {
            "use": "request_id",
            "settings": {"header": "X-Request-Id", "trust": True},
            "from": "policies[0]",
        },
        {
            "use": "request_id",
            "settings": {"header": "${TENANT}", "trust": False},
            "from": "routes[0].policies[0]",
        },
    ]
    assert found["destination"]["targets"] == [
        {"url": "http://${HOST}:9000", "weight": 1},
        {"url": "http://127.0.0.1:9001", "weight": 2},
    ]
    assert found["limits"] == [{"name": "body", "value": "1MiB", "from": "server.limits.body"}]
    timeouts = {each["name"]: (each["value"], each["from"]) for each in found["timeouts"]}
    assert timeouts == {
        "header": ("3s", "server.timeouts.header"),
        "body_idle": ("30s", "the default of server.timeouts.body_idle"),
        "body": ("none", "the default of server.timeouts.body"),
        "keepalive": ("75s", "the default of server.timeouts.keepalive"),
        "connect": ("2s", "the default of upstreams.users.timeouts.connect"),
        "response": ("7s", "upstreams.users.timeouts.response"),
        "idle": ("none", "routes[0].timeouts.idle"),
        "total": ("9s", "routes[0].timeouts.total"),
        "tunnel": ("1h", "the default of upstreams.users.timeouts.tunnel"),
    }
    assert "sesame" not in done.stdout


def test_no_secret_is_in_why_a_route_loses(tetrapylon: Run, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    for given in (["-H", "X-Api-Key: no"], ["-H", "X-Api-Key: sesame-1", "-H", "X-Tenant: no"]):
        done = tetrapylon("explain", "gateway.yaml", "GET", "/a", *given, HOST="127.0.0.2", TENANT="sesame-2")
        assert done.returncode == 1
        assert "sesame" not in done.stdout
        assert "is 'no', not '" in done.stdout
