"""`tetrapylon migrate` on apps of the size that people have: factories, nested routers, classes, helpers."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.harness.client import Client
from tests.harness.gateway import Gateway
from tests.migrate.test_migrate import APPS, checked, migrated

TARGETS = {
    "factory": "factory:create_app()",
    "nested": "nested.app:app",
    "classes": "classes.wsgi:application",
}


class Read:
    """A config as `migrate` wrote it: of each path the lines above it, and the native route they propose."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.says: dict[str, str] = {}
        self.native: dict[str, list[dict[str, Any]]] = {}
        block: list[str] = []
        for line in text.partition("\nroutes:\n")[2].splitlines():
            if line.startswith("  - {"):
                path = yaml.safe_load(line)[0]["path"]
                self.says[path] = "\n".join(block)
                proposed = [each[len("  #     ") :] for each in block if each.startswith("  #     - {")]
                self.native[path] = [yaml.safe_load(each)[0] for each in proposed]
                block = []
            else:
                block.append(line)

    def upstreams(self) -> dict[str, Any]:
        lines = [
            line[2:] for line in self.text.splitlines() if line.startswith("#   ") and "targets:" in line
        ]
        found: dict[str, Any] = yaml.safe_load("\n".join(lines))
        return found


@pytest.fixture(scope="module", params=TARGETS)
def read(request: pytest.FixtureRequest) -> Read:
    return Read(migrated(TARGETS[request.param]))


def of(target: str) -> Read:
    return Read(migrated(TARGETS[target]))


@pytest.fixture(scope="module")
def factory() -> Read:
    return of("factory")


@pytest.fixture(scope="module")
def nested() -> Read:
    return of("nested")


@pytest.fixture(scope="module")
def classes() -> Read:
    return of("classes")


KEY = {"use": "api_key", "header": "X-API-Key"}
LIMITS = {"use": "rate_limit", "rate": ["200/h", "50/m"], "key": "header:X-API-Key"}
INTERNAL = {"use": "headers", "request": {"set": {"X-Internal": "gateway"}}}


def test_a_proxy_function_in_another_module_and_a_config_class_are_followed(factory: Read) -> None:
    (native,) = factory.native["/users/{id:int}"]
    assert native == {
        "path": "/users/{id:int}",
        "methods": ["GET", "HEAD", "OPTIONS"],
        "upstream": "users",
        "rewrite": "/v1/users/{id}",
        "policies": [KEY, LIMITS, INTERNAL],
    }
    assert factory.upstreams()["users"] == {"targets": ["${USERS_URL:-http://users:9001}"]}
    assert "passes on" not in factory.says["/users/{id:int}"], "the function passes on all of the client's"


def test_a_client_that_is_a_class_and_what_its_session_adds_are_followed(factory: Read) -> None:
    (native,) = factory.native["/users/classy/{id:int}"]
    assert (native["rewrite"], native["policies"]) == ("/v1/users/{id}", [KEY, LIMITS, INTERNAL])


def test_answers_that_threads_fetch_are_merged(factory: Read) -> None:
    (native,) = factory.native["/users/{id:int}/home"]
    assert native["aggregate"] == {
        "user": {"upstream": "users", "path": "/u/{id}"},
        "orders": {"upstream": "orders", "path": "/base/o/{id}"},
    }


def test_limits_of_a_class_and_by_a_function_are_read(factory: Read) -> None:
    natives = factory.native["/users/{id:int}/prefs"]
    assert [native["methods"] for native in natives] == [["GET"], ["PUT"]]
    assert all(
        {"use": "rate_limit", "rate": "1/s", "key": "header:X-API-Key"} in each["policies"]
        for each in natives
    )


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/users/{id:int}/secret", "sends what is its own, which a route does not: auth=('gw', 'pw')"),
        ("/users/search", "adds the query ?limit=10, which a route does not"),
        ("/users/{id:int}/summary", "has logic of its own (line "),
        ("/api/v2/orders/cached/{path:path}", "has logic of its own (line "),
        ("/stats", "asks for a session"),
        ("/ruled/staff", "refuses by rules of the app's own (factory/ruled.py:"),
        ("/ruled/club", "refuses by rules of the app's own (factory/ruled.py:"),
    ],
)
def test_what_a_route_cannot_do_is_said_and_no_route_proposed(factory: Read, path: str, says: str) -> None:
    assert says in factory.says[path]
    assert factory.native[path] == []


def test_what_a_route_does_otherwise_is_said_beside_it(factory: Read) -> None:
    says = factory.says["/users/"]
    assert "answers 201 whatever the service does; a route passes on its status" in says
    assert "a route passes on the client's query and fields, which the view does not" in says
    assert len(factory.native["/users/"]) == 1
    assert "a native route has nothing of: @logged" in factory.says["/ruled/open"]


def test_keys_that_fastapi_reads_as_arguments_and_in_middleware_are_seen(nested: Read) -> None:
    assert "checks a key in the header X-Api-Key (nested/deps.py:" in nested.says["/api/v1/users/{id}"]
    key = {"use": "api_key", "header": "X-Api-Key"}
    for path, natives in nested.native.items():
        assert all(key in each.get("policies", []) for each in natives), f"{path} stands behind middleware"
        if path != "/{rest:path}":
            assert "(nested/app.py:" in nested.says[path]


def test_clients_and_settings_that_dependencies_give_are_followed(nested: Read) -> None:
    assert nested.native["/api/v1/users/{id}"][0]["rewrite"] == "/v1/users/{id}"
    assert nested.native["/api/v1/users/{id}/dep"][0]["upstream"] == "users"
    assert nested.native["/api/v1/users/{id}/home"] == [], (
        "its token is checked by no policy that is proposed"
    )
    assert (
        "merges answers: GET ${USERS_URL:-http://users:9001}/u/{id}" in nested.says["/api/v1/users/{id}/home"]
    )


def test_a_streaming_proxy_of_httpx_only_forwards(nested: Read) -> None:
    (native,) = nested.native["/api/v1/orders/{path:path}"]
    assert (native["upstream"], native["rewrite"]) == ("orders", "/{path}")
    assert {"use": "headers", "request": {"set": {"X-Gw": "1"}}} in native["policies"]
    assert "passes on" not in nested.says["/api/v1/orders/{path:path}"]


def test_django_methods_middleware_and_decorators_of_classes_are_read(classes: Read) -> None:
    assert classes.native["/api/users/{pk:int}"][0]["rewrite"] == "/v1/users/{pk}"
    assert "asks for a session" in classes.says["/api/users/{pk:int}/home"]
    assert classes.native["/api/users/{pk:int}/home"] == []
    assert classes.native["/api/v2/orders/"][0]["methods"] == ["POST"], "it posts, whatever it is asked with"
    assert "any /^proxy/" in classes.says["/proxy/{path:path}"], "a dispatch of its own takes all methods"
    assert classes.native["/proxy/{path:path}"][0]["rewrite"] == "/{path}"
    for path, natives in classes.native.items():
        if path != "/{rest:path}":
            assert "checks a key in the header X-Api-Key (classes/middleware.py:" in classes.says[path]
        assert all({"use": "api_key", "header": "X-Api-Key"} in each["policies"] for each in natives)


def test_all_that_is_proposed_is_a_config_that_is_fine(read: Read, tmp_path: Path) -> None:
    config = yaml.safe_load(read.text)
    natives = [each for natives in read.native.values() for each in natives]
    moved = {(native["path"], method) for native in natives for method in native.get("methods", ["any"])}
    for route in config["routes"]:
        left = [each for each in route.get("methods", ["any"]) if (route["path"], each) not in moved]
        if left not in ([], ["any"]):
            natives.append({**route, "methods": left})
        elif left:
            natives.append(route)
    config["upstreams"] = read.upstreams()
    config["routes"] = natives
    config["consumers"] = [{"name": "mobile", "api_keys": ["sha256:" + "0" * 64]}]
    checked(yaml.safe_dump(config), tmp_path)


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f'{{"path": "{self.path}", "internal": "{self.headers["X-Internal"]}"}}'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_the_app_and_what_is_proposed_in_its_place_answer_the_same(factory: Read) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    config = yaml.safe_load(factory.text)
    paths = ("/users/{id:int}", "/users/classy/{id:int}")
    natives = [{**each, "path": f"/native{each['path']}"} for path in paths for each in factory.native[path]]
    config["routes"] = [*natives, *config["routes"]]
    config["upstreams"] = {"users": factory.upstreams()["users"]}
    hashed = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    config["consumers"] = [{"name": "a", "api_keys": [hashed]}]
    try:
        env = {**os.environ, "USERS_URL": url}
        with Gateway(yaml.safe_dump(config), "--listen", "127.0.0.1:0", env=env, cwd=APPS) as gateway:
            for target, key in (("/users/7?full=1", "a"), ("/users/classy/5", "a"), ("/users/7", "no")):
                answers = []
                for prefix in ("", "/native"):
                    with Client(gateway.address) as client:
                        client.send(
                            f"GET {prefix}{target} HTTP/1.1\r\nHost: t\r\nX-API-Key: {key}\r\n\r\n".encode()
                        )
                        answers.append(client.response())
                old, new = answers
                assert new.status == old.status
                if old.status == 200:
                    assert yaml.safe_load(new.body) == yaml.safe_load(old.body)
                    assert yaml.safe_load(new.body)["internal"] == "gateway"
    finally:
        server.shutdown()
        server.server_close()
