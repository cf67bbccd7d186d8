"""The verbs that act on a running gateway, and what its admin address tells of it."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_reload import answering
from tests.harness import Gateway, proxy

COMMAND = str(Path(sys.executable).with_name("tetrapylon"))
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway(answering("old")) as running:
        yield running


def verb(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "NO_COLOR": "1", **environment},
    )


def on(gateway: Gateway, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    assert gateway.admin is not None
    return verb(name, "--admin", gateway.admin, *arguments)


def told(gateway: Gateway, path: str, **headers: str) -> Any:
    asked = urllib.request.Request(f"http://{gateway.admin}{path}", headers=headers)
    with urllib.request.urlopen(asked, timeout=30) as response:
        return json.load(response)


def test_a_config_is_changed_looked_at_and_taken_back(gateway: Gateway) -> None:
    gateway.write(answering("new"))
    dry = on(gateway, "reload", "--dry-run")
    assert (dry.returncode, "respond.body: old -> new" in dry.stdout) == (0, True), dry
    assert "would be applied: routes: 1 changed" in dry.stdout
    compared = verb("check", str(gateway.config_path), "--against", str(gateway.admin))
    assert "respond.body: old -> new" in compared.stdout, compared
    assert on(gateway, "reload").stdout.splitlines()[-1].startswith("applied: routes: 1 changed")
    status = on(gateway, "status")
    assert "serving, 1 of 1 workers serve" in status.stdout
    assert "last reload: applied" in status.stdout
    back = on(gateway, "rollback")
    assert "respond.body: new -> old" in back.stdout, back
    history = json.loads(on(gateway, "history", "--format", "json").stdout)
    assert [past["origin"] for past in history][:2] == ["start", "POST /reload"]
    assert history[-1]["origin"] == "rollback to 1"
    assert "rollback to 1" in on(gateway, "history").stdout


def test_a_bad_config_is_refused_with_its_errors_and_status_2(gateway: Gateway) -> None:
    gateway.write("routes: [{path: /, respnd: {}}]\n")
    done = on(gateway, "reload")
    assert done.returncode == 2
    assert "respnd: unknown key; did you mean `respond`?" in done.stderr
    assert "stays in force" in done.stderr
    assert "respnd" in on(gateway, "status").stdout


def test_where_nobody_listens_it_says_so() -> None:
    done = verb("status", "--admin", "127.0.0.1:1")
    assert done.returncode == 1
    assert "nobody answers at the admin address 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_is_asked_for_and_taken_from_the_config_or_the_environment(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/admin"
    with Gateway(answering("x") | {"admin": {"listen": path, "token": TOKEN}}) as gateway:
        refused = verb("status", "--admin", path)
        assert (refused.returncode, "admin.token" in refused.stderr) == (1, True)
        assert verb("status", "--admin", path, TETRAPYLON_ADMIN_TOKEN=TOKEN).returncode == 0
        assert verb("status", str(gateway.config_path)).returncode == 0


def test_the_config_is_shown_and_its_secrets_are_not() -> None:
    secret = {"credentials": {"user": "me", "password": "swordfish"}}
    admin = {"admin": {"listen": "127.0.0.1:0", "token": TOKEN}}
    with Gateway(proxy("http://127.0.0.1:9", upstream=secret, **admin)) as gateway:
        shown = {"Authorization": f"Bearer {TOKEN}"}
        config = told(gateway, "/config", **shown)
        assert config["upstreams"]["backend"]["credentials"] == {"user": "me", "password": "***"}
        assert TOKEN not in json.dumps(config)
        routes = told(gateway, "/routes", **shown)
        assert [route["path"] for route in routes] == ["/{rest:path}", "/"]
        assert all("gateway.yaml:" in route["at"] for route in routes)
        upstreams = told(gateway, "/upstreams", **shown)
        assert upstreams["workers"] == [0]
        assert upstreams["upstreams"][0]["targets"][0]["url"] == "127.0.0.1:9"


def test_a_request_is_explained_by_the_running_config(gateway: Gateway) -> None:
    found = told(gateway, "/explain?method=GET&url=http://shop.test/")
    assert found["route"]["path"] == "/"
    assert told(gateway, "/explain?url=/nowhere")["route"] is None


@pytest.mark.parametrize("query", ["", "?url=nowhere", "?url=/&header=x", "?url=/%00"])
def test_what_is_no_request_is_a_problem(gateway: Gateway, query: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as caught:
        told(gateway, f"/explain{query}")
    assert caught.value.headers["Content-Type"] == "application/problem+json"
    caught.value.close()
