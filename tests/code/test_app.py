"""The gateway as a library: `tetrapylon run module:app`, and handlers beside what a config says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import Gateway, Upstream, answers
from tests.harness.gateway import STREAM
from tetrapylon import Request, Tetrapylon
from tetrapylon.testing import running

APP = """\
from contextlib import asynccontextmanager

from tetrapylon import PolicyUse, Request, Tetrapylon


@asynccontextmanager
async def lifespan(shared):
    shared["greeting"] = "hello"
    yield


app = Tetrapylon("gateway.yaml", lifespan=lifespan)


@app.get("/quotes/{id:int}")
def quote(id: int) -> dict[str, int]:
    return {"id": id}


@app.post("/quotes", policies=[PolicyUse(use="mixed:Tenant")])
async def made(request: Request, quote: dict[str, int]) -> dict[str, int | str]:
    return {"said": request.shared["greeting"], "tenant": request.state["tenant"], **quote}


class Tenant:
    def on_request(self, request: Request) -> None:
        request.state["tenant"] = "acme"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "mixed.py").write_text(APP)
    return tmp_path


def config(upstream: str) -> str:
    return json.dumps(
        {
            "server": {"listen": ["127.0.0.1:0"]},
            "upstreams": {"up": {"targets": [upstream]}},
            "routes": [
                {"path": "/proxied/{rest:path}", "upstream": "up"},
                {"path": "/from-config/{id:int}", "handler": "mixed:quote"},
            ],
        }
    )


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    tetrapylon = str(Path(sys.executable).with_name("tetrapylon"))
    return subprocess.run(
        [tetrapylon, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(STREAM != "socket", reason="an embedding program has no command line")
def test_an_app_is_run_by_its_name_beside_what_its_config_says(directory: Path) -> None:
    with Upstream(answers.each(answers.echo_of)) as upstream:
        (directory / "gateway.yaml").write_text(config(upstream.url))
        with Gateway(None, "mixed:app", cwd=directory) as gateway, gateway.client() as client:
            assert client.ask("GET", "/quotes/7").body == b'{"id":7}'
            assert client.ask("GET", "/from-config/8").body == b'{"id":8}'
            assert client.ask("GET", "/proxied/a").status == 200
            sent = [("Content-Type", "application/json")]
            answer = client.ask("POST", "/quotes", sent, b'{"n":1}')
            assert json.loads(answer.body) == {"said": "hello", "tenant": "acme", "n": 1}
            described = json.loads(client.ask("GET", "/openapi.json").body)
            assert sorted(described["paths"]) == ["/from-config/{id}", "/quotes", "/quotes/{id}"]


def test_the_other_verbs_take_an_app_too(directory: Path) -> None:
    (directory / "gateway.yaml").write_text(config("http://127.0.0.1:9"))
    assert command("check", "mixed:app", cwd=directory).returncode == 0
    shown = command("routes", "mixed:app", cwd=directory).stdout
    assert all(
        path in shown for path in ("/quotes/{id:int}", "/proxied/{rest:path}", "/from-config/{id:int}")
    )


@pytest.mark.parametrize(
    ("source", "changed", "said"),
    [
        ("mixed:ap", "", "did you mean app?"),
        ("mixd:app", "", "there is no module mixd"),
        ("mixed:quote", "", "mixed:quote"),
        ("mixed:app", "def broken(:\n", "SyntaxError"),
        ("mixed:app", "import nowhere_to_be_found\n", "nowhere_to_be_found"),
        ("mixed:app", "app.get('/x')(lambda x: x)\n", "has no annotation"),
        ("mixed:app", "app.get('/quotes/{n:int}')(lambda: 1)\n", "{n}"),
    ],
)
def test_what_is_wrong_with_one_is_told_at_check(
    directory: Path, source: str, changed: str, said: str
) -> None:
    (directory / "gateway.yaml").write_text(config("http://127.0.0.1:9"))
    (directory / "mixed.py").write_text(APP + changed)
    done = command("check", source, cwd=directory)
    assert done.returncode == 2, done
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if changed:
        assert "mixed.py:" in done.stderr


def test_a_route_that_the_config_has_too_is_refused(directory: Path) -> None:
    (directory / "gateway.yaml").write_text(config("http://127.0.0.1:9"))
    (directory / "mixed.py").write_text(f"{APP}\napp.route('/from-config/{{n:int}}', methods=())(quote)\n")
    done = command("check", "mixed:app", cwd=directory)
    assert done.returncode == 2
    assert "/from-config" in done.stderr


def test_one_function_may_serve_several_routes_and_be_called_as_ever() -> None:
    app = Tetrapylon(docs=None)

    @app.get("/a/{n:int}")
    @app.put("/b/{n:int}", name="b")
    def twice(request: Request, n: int) -> dict[str, int | str]:
        return {"route": request.route, "n": 2 * n}

    @app.delete("/c")
    @app.patch("/c")
    def twice_() -> None: ...

    with running(app) as served:
        assert served.get("/a/2").json() == {"route": "/a/{n:int}", "n": 4}
        assert served.put("/b/3").json() == {"route": "b", "n": 6}
        assert [served.delete("/c").status, served.patch("/c").status] == [204, 204]


@pytest.mark.parametrize(
    ("module", "place", "said"),
    [
        ("import os\n\nraise RuntimeError('no database')\n", "broken.py:3", "RuntimeError: no database"),
        ("class It\n    pass\n", "broken.py:1", "SyntaxError"),
        ("import nowhere_to_be_found\n", "broken.py:1", "nowhere_to_be_found"),
        ("raise SystemExit(1)\n", "broken.py:1", "SystemExit"),
    ],
    ids=["raises", "is no Python", "lacks a module", "exits"],
)
@pytest.mark.parametrize("key", ["handler", "plugin"])
def test_modules_that_do_not_import_are_told_at_check_with_their_place(
    tmp_path: Path, key: str, module: str, place: str, said: str
) -> None:
    (tmp_path / "broken.py").write_text(module)
    route: dict[str, object] = {"path": "/", "respond": {"body": "x"}, "policies": [{"use": "broken:It"}]}
    if key == "handler":
        route = {"path": "/", "handler": "broken:It"}
    (tmp_path / "gateway.json").write_text(json.dumps({"routes": [route]}))
    done = command("check", "gateway.json", cwd=tmp_path)
    assert done.returncode == 2, done
    assert done.stderr.startswith("gateway.json:1:")
    assert said in done.stderr
    assert place in done.stderr
    assert "Traceback" not in done.stderr
