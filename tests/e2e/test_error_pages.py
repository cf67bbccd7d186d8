"""Bodies of the config's own for errors: chosen by status and Accept, filled in, escaped."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness.gateway import Gateway
from tests.harness.wire import Response

HTML = "<p>{status} {title}: {detail} ({reason}) at {route} #{request_id} { color: red } {other}"
CONFIG: dict[str, Any] = {
    "server": {
        "errors": [
            {"type": "text/html", "body": HTML},
            {"status": [502], "type": "application/json", "body": '{"code": {status}, "why": "{detail}"}'},
            {"status": [404], "type": "text/plain", "body": "nothing here"},
            {"status": [404], "type": "application/vnd.shop+xml", "body": '<e id="{request_id}"/>'},
        ]
    },
    "upstreams": {"dead": {"targets": ["http://127.0.0.1:9"]}},
    "routes": [{"path": "/dead/{x}", "upstream": "dead"}, {"path": "/ping", "respond": {"body": "pong"}}],
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway(CONFIG) as gateway:
        yield gateway


def get(gateway: Gateway, target: str, *fields: str, method: str = "GET") -> Response:
    with gateway.client() as client:
        lines = "".join(f"{field}\r\n" for field in fields)
        client.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n".encode())
        return client.response(method)


def kind(response: Response) -> str:
    return response.headers.get("content-type") or ""


PROBLEM, TEXT, PAGE = "application/problem+json", "text/plain; charset=utf-8", "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("target", "accept", "given"),
    [
        ("/none", None, PROBLEM),
        ("/none", "*/*", PROBLEM),
        ("/none", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", PAGE),
        ("/none", "text/plain, text/html;q=0.5", TEXT),
        ("/none", "text/*", PAGE),
        ("/none", "text/html;q=0, text/*", TEXT),
        ("/none", "application/vnd.shop+xml", "application/vnd.shop+xml"),
        ("/none", "image/png", PROBLEM),
        ("/none", "text/html;q=0", PROBLEM),
        ("/none", "TEXT/HTML", PAGE),
        ("/none", "text/html;q=x, text/plain;q=0.1", TEXT),
        ("/none", "not a type at all,,;;/", PROBLEM),
        ("/none", "application/problem+json, text/html", PROBLEM),
        ("/dead/1", None, "application/json"),
        ("/dead/1", "*/*", "application/json"),
        ("/dead/1", "application/problem+json", PROBLEM),
        ("/dead/1", "text/plain", PROBLEM),
        ("/dead/1", "text/html", PAGE),
    ],
)
def test_the_client_chooses(gateway: Gateway, target: str, accept: str | None, given: str) -> None:
    fields = [f"Accept: {accept}"] if accept is not None else []
    response = get(gateway, target, *fields)
    assert response.status in (404, 502)
    assert kind(response) == given
    assert response.headers.get("vary") == "Accept"
    assert len(response.body) == int(response.headers.get("content-length") or -1)


def test_several_accept_fields_are_one(gateway: Gateway) -> None:
    assert kind(get(gateway, "/none", "Accept: image/png", "Accept: text/plain")) == TEXT


def test_variables_are_filled_in_and_all_else_is_as_it_is(gateway: Gateway) -> None:
    response = get(gateway, "/dead/1", "Accept: text/html", "X-Request-Id: abc-7")
    assert response.body.decode() == (
        "<p>502 Bad Gateway: The upstream cannot be connected to. (connect_failed) at /dead/{x} #abc-7"
        " { color: red } {other}"
    )
    assert "error=connection_refused" in (response.headers.get("proxy-status") or "")


def test_values_are_escaped_for_their_type(gateway: Gateway) -> None:
    evil = "X-Request-Id: <script>\"'&{title}"
    page = get(gateway, "/none", "Accept: text/html", evil).body.decode()
    assert "#&lt;script&gt;&quot;&#39;&amp;{title} " in page
    xml = get(gateway, "/none", "Accept: application/vnd.shop+xml", evil).body.decode()
    assert xml == '<e id="&lt;script&gt;&quot;&#39;&amp;{title}"/>'
    assert (
        "#" + "x" * 128 + " "
        in get(gateway, "/none", "Accept: text/html", "X-Request-Id: " + "x" * 128).body.decode()
    )
    assert "# " in get(gateway, "/none", "Accept: text/html", "X-Request-Id: " + "x" * 129).body.decode()


def test_json_stays_json(gateway: Gateway) -> None:
    assert json.loads(get(gateway, "/dead/1").body) == {
        "code": 502,
        "why": "The upstream cannot be connected to.",
    }


def test_head_gets_the_length_alone(gateway: Gateway) -> None:
    response = get(gateway, "/none", "Accept: text/plain", method="HEAD")
    assert (response.status, response.body) == (404, b"")
    assert response.headers.get("content-length") == "12"


def test_answers_of_routes_are_left_alone(gateway: Gateway) -> None:
    response = get(gateway, "/ping", "Accept: text/html")
    assert (response.status, response.body) == (200, b"pong")
    assert response.headers.get("vary") is None
