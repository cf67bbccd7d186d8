"""`tetrapylon migrate` on real apps: routes found and served, proposals that hold, edits that stay."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.client import Client
from tests.harness.gateway import Gateway

APPS = Path(__file__).with_name("apps")
COMMAND = str(Path(sys.executable).with_name("tetrapylon"))


def tetrapylon(*arguments: str, cwd: Path = APPS) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


def migrated(target: str, cwd: Path = APPS) -> str:
    told = tetrapylon("migrate", target, "-o", "-", cwd=cwd)
    assert told.returncode == 0, told.stderr
    return told.stdout


def routes(text: str) -> dict[str, dict[str, Any]]:
    return {route["path"]: route for route in yaml.safe_load(text)["routes"]}


def checked(text: str, folder: Path) -> list[dict[str, Any]]:
    """What `routes` prints of it, which it does of no config that is not fine."""
    file = folder / "checked.yaml"
    file.write_text(text)
    told = tetrapylon("routes", str(file), "--format", "json")
    assert told.returncode == 0, told.stderr
    listed: list[dict[str, Any]] = json.loads(told.stdout)
    return listed


def uncommented(text: str) -> str:
    """The config as it is once all its proposals are taken: the native route in place of the app's."""
    lines: list[str] = []
    taken = None
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# upstreams:") or (
            lines and lines[-1].startswith(("upstreams:", "  ")) and (line.startswith("#   "))
        ):
            lines.append(line[2:])
        elif bare.startswith("#     - {"):
            taken = bare[len("#     ") :]
        elif bare.startswith("- {") and taken is not None:
            lines.append(f"  {taken}")
            taken = None
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def test_every_route_of_httpbin_is_found_and_served(tmp_path: Path) -> None:
    httpbin: Any = import_module("httpbin")
    text = migrated("httpbin:app")
    rules = {rule.rule: rule for rule in httpbin.app.url_map.iter_rules()}
    assert len(rules) > 50
    listed = checked(text, tmp_path)
    assert len(listed) == len(rules) + 1, "and the one for all the rest"
    for rule in rules:
        assert f" {rule} -> " in text
    assert "httpbin.core:view_get (httpbin/core.py:" in text

    values = {"n": "2", "offset": "1", "codes": "418", "delay": "0", "numbytes": "9", "value": "1"}
    with Gateway(text, "--listen", "127.0.0.1:0") as gateway:
        for rule in rules.values():
            arguments = {name: values.get(name, "x") for name in rule.arguments}
            path = rule.rule
            for name, value in arguments.items():
                for spelled in (f"<{name}>", f"<int:{name}>", f"<path:{name}>"):
                    path = path.replace(spelled, value)
            method = next(each for each in ("GET", "POST", "PUT", "PATCH", "DELETE") if each in rule.methods)
            direct = httpbin.app.test_client().open(path, method=method)
            with Client(gateway.address) as client:
                client.send(f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n".encode())
                assert client.response(method).status == direct.status_code, (method, path)
    took = {json.loads(line)["route"] for line in gateway.log}
    assert len(took) == len(rules), "each by a route of its own, none by the one for all the rest"


def test_flask_converters_become_types_or_plain_with_a_note(tmp_path: Path) -> None:
    text = migrated("shop:app")
    found = routes(text)
    assert list(found) == [
        "/users/{id:int}",
        "/orders/{rest:path}",
        "/home/{id:uuid}",
        "/price/{id:int}",
        "/colour/{value}/{size}",
        "/files/{name_ext}",
        "/",
        "/{rest:path}",
    ]
    assert found["/orders/{rest:path}"]["methods"] == ["GET", "HEAD", "POST", "OPTIONS"]
    assert "{value} is colour in the app; here it is any segment" in text
    assert "{size} is any(big,small) in the app" in text
    assert "{name}.{ext} is one segment, {name_ext}" in text
    assert "# [legacy] GET,HEAD,OPTIONS /users/<int:id> -> shop:user (shop.py:45)" in text
    checked(text, tmp_path)


def test_views_that_only_forward_check_limit_or_merge_have_the_native_route_beside_them(
    tmp_path: Path,
) -> None:
    text = migrated("shop:app")
    native = routes(uncommented(text))
    assert native["/users/{id:int}"]["rewrite"] == "/v1/users/{id}"
    assert native["/users/{id:int}"]["policies"] == [{"use": "api_key", "header": "X-API-Key"}]
    assert native["/orders/{rest:path}"]["upstream"] == "orders"
    assert native["/orders/{rest:path}"]["rewrite"] == "/{rest}"
    assert native["/orders/{rest:path}"]["policies"] == [
        {"use": "rate_limit", "rate": "100/m", "key": "client"}
    ]
    parts = native["/home/{id:uuid}"]["aggregate"]
    assert {name: part["path"] for name, part in parts.items()} == {
        "user": "/users/{id}",
        "orders": "/orders?user={id}",
    }
    assert "upstream" not in native["/price/{id:int}"], "it has logic of its own"
    assert "has logic of its own (line 68, 69)" in text
    config = yaml.safe_load(uncommented(text))
    config["consumers"] = [{"name": "mobile", "api_keys": ["sha256:" + "0" * 64]}]
    checked(yaml.safe_dump(config), tmp_path)


def test_nothing_native_is_proposed_that_would_let_more_through(tmp_path: Path) -> None:
    (tmp_path / "guarded.py").write_text(
        """
import requests
from flask import Flask, abort, request
from flask_jwt_extended import jwt_required
app = Flask(__name__, static_folder=None)
def audited(view):
    return view
@app.before_request
def count():
    pass
@app.get("/token")
@jwt_required()
def token():
    return requests.get("http://users.internal/me").content
@app.get("/audited")
@audited
def seen():
    return requests.get("http://users.internal/me").content
""".replace(
            "from flask_jwt_extended import jwt_required", "def jwt_required():\n    return lambda view: view"
        )
    )
    text = migrated("guarded:app", tmp_path)
    native = routes(uncommented(text))
    assert native["/token"]["app"] == "legacy", "a route without the token's check is no proposal"
    assert "checks a token (guarded.py:" in text
    assert native["/audited"]["upstream"] == "users"
    assert "a native route has nothing of: guarded:count (guarded.py:" in text
    assert ", @audited (guarded.py:" in text


def test_fastapi_routes_of_included_routers_mounts_and_websockets(tmp_path: Path) -> None:
    text = migrated("fast:app")
    found = routes(text)
    assert {
        "/api/v1/users/{id}",
        "/api/v1/home/{id:uuid}",
        "/ws",
        "/sum/{a:int}/{b}",
        "/static/{rest:path}",
    } <= set(found)
    assert "asgi" in yaml.safe_load(text)["apps"]["legacy"]
    native = routes(uncommented(text))
    assert native["/api/v1/users/{id}"] == {
        "path": "/api/v1/users/{id}",
        "methods": ["GET"],
        "upstream": "users",
        "rewrite": "/users/{id}",
        "policies": [{"use": "api_key", "header": "X-Token"}],
    }
    assert set(native["/api/v1/home/{id:uuid}"]["aggregate"]) == {"user", "orders"}
    checked(text, tmp_path)


def test_django_paths_expressions_and_class_views(tmp_path: Path) -> None:
    text = migrated("djangoapp:application")
    found = routes(text)
    assert found["/api/reports/{year}"]["methods"] == ["GET", "HEAD", "OPTIONS", "POST"]
    assert set(found) == {
        "/users/{pk:int}/",
        "/api/reports/{year}",
        "/articles/{year:int}/{slug}/",
        "/odd/{group1:path}",
        "/{rest:path}",
    }
    assert "methods" not in found["/users/{pk:int}/"], "a function takes any method"
    native = routes(uncommented(text))["/users/{pk:int}/"]
    assert native["rewrite"] == "/users/{pk}"
    assert native["policies"] == [{"use": "api_key", "header": "X-Api-Key"}]
    checked(text, tmp_path)


APP = "from flask import Flask\napp = Flask(__name__, static_folder=None)\n"
VIEW = "\n@app.route('/{name}', methods={methods})\ndef {name}():\n    return '{name}'\n"


def grow(folder: Path, **views: list[str]) -> None:
    text = APP + "".join(VIEW.format(name=name, methods=methods) for name, methods in views.items())
    (folder / "grown.py").write_text(text)


def test_a_further_run_adds_what_is_new_names_what_has_gone_and_keeps_what_was_edited(tmp_path: Path) -> None:
    grow(tmp_path, a=["GET"], b=["GET"], c=["GET"])
    assert tetrapylon("migrate", "grown:app", cwd=tmp_path).returncode == 0
    file = tmp_path / "gateway.yaml"
    edited = file.read_text().replace(
        '- {path: "/a", methods: [GET, HEAD, OPTIONS], app: legacy}',
        """\
- path: "/a"       # ours now
    respond: {body: "a"}""",
    )
    edited = edited.replace("  listen: [127.0.0.1:8080]", "  listen: ['127.0.0.1:8081']  # by hand")
    file.write_text(edited)
    file.chmod(0o640)
    grow(tmp_path, a=["GET"], c=["GET"], d=["POST"])
    told = tetrapylon("migrate", "grown:app", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[:-1] == [
        "+ POST,OPTIONS /d",
        "- GET,HEAD,OPTIONS /b: no longer in the app; marked as vanished, and left where it is",
    ]
    after = file.read_text()
    assert "# [moved] GET,HEAD,OPTIONS /a -> grown:a" in after
    assert "# [vanished] GET,HEAD,OPTIONS /b -> grown:b" in after
    gone = [line for line in edited.splitlines() if line not in after.splitlines()]
    assert all(line.strip().startswith("# [") for line in gone), "only the marks of routes are written anew"
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(routes(after)) == ["/a", "/b", "/c", "/d", "/{rest:path}"]
    assert tetrapylon("migrate", "grown:app", cwd=tmp_path).returncode == 0
    assert file.read_text() == after, "a run without news changes nothing"


def test_a_route_that_was_taken_out_stays_out_while_its_mark_stays(tmp_path: Path) -> None:
    grow(tmp_path, a=["GET"], b=["GET"])
    tetrapylon("migrate", "grown:app", cwd=tmp_path)
    file = tmp_path / "gateway.yaml"
    kept = [line for line in file.read_text().splitlines() if '- {path: "/b"' not in line]
    file.write_text("\n".join(kept) + "\n")
    tetrapylon("migrate", "grown:app", cwd=tmp_path)
    assert list(routes(file.read_text())) == ["/a", "/{rest:path}"]


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("raise RuntimeError('no database')", "bad:app", "importing bad raised RuntimeError: no database"),
        ("import nowhere", "bad:app", "there is no module nowhere|raised ModuleNotFoundError"),
        ("import os; os._exit(3)", "bad:app", "its process ended with status 3"),
        ("import os; os.kill(os.getpid(), 9)", "bad:app", "its process ended by signal 9"),
        (
            "app = object()",
            "bad:app",
            "it is a builtins.object; expected a Flask, FastAPI, Starlette or Django app",
        ),
        ("def make(): ...", "bad:make", "if it makes one, write 'bad:make()'"),
        ("import time; time.sleep(60)", "bad:app", "more than 1 s"),
        ("api = 1", "bad:app", "has no attribute 'app'"),
        ("app = (", "bad:app", "raised SyntaxError"),
    ],
)
def test_an_app_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, source: str, target: str, says: str
) -> None:
    (tmp_path / "bad.py").write_text(source + "\n")
    told = tetrapylon("migrate", target, "--timeout", "1" if "sleep" in source else "30", cwd=tmp_path)
    assert told.returncode == 2
    assert any(each in told.stderr for each in says.split("|")), told.stderr
    assert not (tmp_path / "gateway.yaml").exists()


def test_a_factory_and_middleware_around_the_app_are_seen_through(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(
        "from flask import Flask\nfrom werkzeug.middleware.proxy_fix import ProxyFix\n"
        "print('noise on standard output')\n"
        "def make():\n    app = Flask('made', static_folder=None)\n"
        "    app.add_url_rule('/x', view_func=lambda: 'x')\n    return ProxyFix(app)\n"
    )
    text = migrated("made:make()", tmp_path)
    assert list(routes(text)) == ["/x", "/{rest:path}"]
    assert "werkzeug.middleware.proxy_fix.ProxyFix" in text
    assert yaml.safe_load(text)["apps"] == {"legacy": {"wsgi": "made:make()"}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("routes: [\n", "gateway.yaml:2:1"),
        ("server: {}\n", "there are no routes one below the other to add to"),
        ("routes: [{path: /a, respond: {}}]\n", "gateway.yaml:1:9: routes: "),
        (
            "apps: {other: {wsgi: 'x:y'}}\nroutes:\n  - {path: /a, respond: {}}\n",
            "none of the apps is grown:app",
        ),
    ],
)
def test_a_file_that_cannot_be_added_to_is_left_alone(tmp_path: Path, text: str, says: str) -> None:
    grow(tmp_path, a=["GET"])
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    told = tetrapylon("migrate", "grown:app", cwd=tmp_path)
    assert told.returncode == 2
    assert says in told.stderr
    assert file.read_text() == text


ODD = """
from flask import Flask

app = Flask(__name__, static_folder=None)
rules = ["/a\\nb/<x>", "/two words", "/#c", '/"quoted"/{x}', "/100%/%2F"]
rules += ["/\\x85\\u2028/<y>", "/\u00fc/<z>", "/*x"]
for number, rule in enumerate(rules):
    app.add_url_rule(rule, f"view_{number}", lambda **more: "x")
"""


def test_rules_with_what_paths_have_escaped_give_a_config_that_matches_them(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD, encoding="utf-8")
    text = migrated("odd:app", cwd=tmp_path)
    listed = checked(text, tmp_path)
    assert len(listed) == 9
    file = tmp_path / "checked.yaml"
    for target, path in {
        "/a%0Ab/1": "/a%0Ab/{x}",
        "/two%20words": "/two%20words",
        "/%23c": "/%23c",
        "/%22quoted%22/%7Bx%7D": "/%22quoted%22/%7Bx%7D",
        "/100%25/%252F": "/100%25/%252F",
        "/%C3%BC/1": "/\u00fc/{z}",
        "/*x": "/*x",
    }.items():
        told = tetrapylon("explain", str(file), "GET", target)
        assert told.returncode == 0, told.stderr
        assert f" {path}" in told.stdout, (target, told.stdout)
    (tmp_path / "gateway.yaml").write_text(text, encoding="utf-8")
    again = tetrapylon("migrate", "odd:app", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "gateway.yaml").read_text(encoding="utf-8") == text, "all are known again"


def test_an_empty_file_is_written_and_one_that_is_no_text_is_not(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD, encoding="utf-8")
    file = tmp_path / "gateway.yaml"
    file.touch()
    assert tetrapylon("migrate", "odd:app", cwd=tmp_path).returncode == 0
    assert "odd:app" in file.read_text(encoding="utf-8")
    file.write_bytes(b"\xff\xfe\x00")
    told = tetrapylon("migrate", "odd:app", cwd=tmp_path)
    assert told.returncode == 2
    assert told.stderr == (
        "tetrapylon: gateway.yaml: cannot be added to: it is not UTF-8 (byte 0);"
        " name another file, or move this one away\n"
    )
    assert file.read_bytes() == b"\xff\xfe\x00"
