"""A reload under way: clients notice nothing but the new answers."""

import json
import os
import signal
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.e2e.test_tunnels import echo, websocket_upstream
from tests.harness import Client, Gateway, Upstream, answers, eventually, proxy, request, routed, through
from tests.harness.gateway import Config
from tests.harness.load import load

ADMIN = {"admin": {"listen": "127.0.0.1:0"}}


def reload(gateway: Gateway, config: Config | str) -> dict[str, Any]:
    """Has the gateway read this config; what it answers."""
    gateway.write(config)
    return order(gateway, "/reload")


def order(gateway: Gateway, path: str) -> dict[str, Any]:
    asked = urllib.request.Request(f"http://{gateway.admin}{path}", method="POST")
    with urllib.request.urlopen(asked, timeout=30) as response:
        outcome: dict[str, Any] = json.load(response)
    return outcome


def metric(gateway: Gateway, name: str, **labels: str) -> float:
    with urllib.request.urlopen(f"http://{gateway.admin}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    start = name + ("{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) if labels else " ")
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


def answering(body: str, **more: Any) -> dict[str, Any]:
    return routed([{"path": "/", "respond": {"body": body}}], **ADMIN, **more)


class TestUnderLoad:
    def test_not_one_request_fails(self) -> None:
        config = answering("first", server={"workers": 2})
        with Gateway(config) as gateway, load(gateway.address) as clients:
            for turn in range(20):
                reload(gateway, answering(f"turn {turn}", server={"workers": 2}))
            assert sum(each.answered for each in clients) > 20

    def test_not_one_fails_while_the_upstream_behind_it_is_replaced(self) -> None:
        with Upstream(answers.ok) as one, Upstream(answers.ok) as other:
            with Gateway(proxy(one.url, **ADMIN)) as gateway, load(gateway.address):
                for turn in range(10):
                    reload(gateway, proxy((other, one)[turn % 2].url, **ADMIN))
            assert one.requests
            assert other.requests

    def test_not_one_fails_while_workers_come_and_go(self) -> None:
        with Gateway(answering("x", server={"workers": 1})) as gateway, load(gateway.address):
            for count in (3, 1, 2):
                reload(gateway, answering("x", server={"workers": count}))
                eventually(lambda: len(gateway.workers) == count + 1, f"{count} workers")  # noqa: B023

    def test_not_one_fails_while_listeners_come_and_go(self, tmp_path: Path) -> None:
        with Gateway(answering("x", server={"workers": 2})) as gateway, load(gateway.address):
            for turn in range(4):
                path = f"unix:{tmp_path}/{turn}"
                listen = ["127.0.0.1:0", path]
                reload(gateway, answering("x", server={"workers": 2, "listen": listen}))
                with Client(path) as client:
                    assert client.ask().status == 200

    def test_an_address_that_has_gone_is_closed_in_a_process_that_comes_with_the_same_reload(
        self, tmp_path: Path
    ) -> None:
        tmp_path.joinpath("shop.py").write_text(
            "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'x']\n"
        )
        listen = {"server": {"listen": ["127.0.0.1:0", "127.0.0.1:0"]}}
        hosted = routed([{"path": "/", "app": "shop"}], apps={"shop": {"wsgi": "shop:app"}}, **ADMIN)
        with Gateway(answering("x") | listen, cwd=tmp_path) as gateway:
            host, _, port = gateway.addresses[1].rpartition(":")
            reload(gateway, hosted)
            gateway.wait_line("serves, ", within=20)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)), timeout=5)


class TestWhatGoesOn:
    def test_a_websocket_lives_on_whose_route_has_gone(self) -> None:
        with (
            websocket_upstream(echo) as address,
            Gateway(proxy(f"http://{address}", **ADMIN)) as gateway,
            connect(f"ws://{gateway.address}/chat", subprotocols=["chat"]) as chat,  # type: ignore[list-item]
        ):
            chat.send("before")
            assert chat.recv(5) == "before"
            reload(gateway, answering("no websockets here"))
            for _ in range(3):
                chat.send("after")
                assert chat.recv(5) == "after"
                reload(gateway, answering("still none"))

    def test_a_download_goes_on_to_its_end(self) -> None:
        gate = threading.Event()
        script = answers.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst", gate, b" last")
        with (
            Upstream(script) as upstream,
            Gateway(proxy(upstream.url, **ADMIN)) as gateway,
            gateway.client() as client,
        ):
            client.send(request("GET", "/"))
            upstream.wait_requests(1)
            reload(gateway, answering("elsewhere"))
            gate.set()
            assert client.response().body == b"first last"
            assert client.ask().body == b"elsewhere"

    def test_a_kept_connection_of_a_client_serves_the_new_config(self) -> None:
        with Gateway(answering("old")) as gateway, gateway.client() as client:
            assert client.ask().body == b"old"
            reload(gateway, answering("new"))
            assert client.ask().body == b"new"

    def test_connections_to_an_upstream_are_kept_while_its_settings_are(self) -> None:
        with Upstream(answers.ok) as upstream:
            config = proxy(upstream.url, **ADMIN)
            with Gateway(config) as gateway, gateway.client() as client:
                client.ask()
                more = {**config, "routes": [*config["routes"], {"path": "/new", "respond": {}}]}
                reload(gateway, more)
                client.ask()
                assert client.ask("GET", "/new").status == 200
                assert upstream.open == 1
                assert len(upstream.conversation(0).requests) == 2

    def test_a_timeout_of_its_requests_is_no_reason_to_drop_them(self) -> None:
        with through(answers.ok, admin={"listen": "127.0.0.1:0"}) as (client, upstream, gateway):
            client.ask()
            reload(gateway, proxy(upstream.url, upstream={"timeouts": {"response": "7s"}}, **ADMIN))
            client.ask()
            assert len(upstream.conversation(0).requests) == 2

    def test_idle_connections_to_one_that_has_changed_are_closed(self) -> None:
        with through(answers.ok, admin={"listen": "127.0.0.1:0"}) as (client, upstream, gateway):
            client.ask()
            reload(gateway, proxy(upstream.url, upstream={"headers": {"X-New": "1"}}, **ADMIN))
            eventually(lambda: upstream.conversation(0).ended.is_set(), "the idle one is closed")
            client.ask()
            assert upstream.conversation(1).heads[0].headers.get("X-New") == "1"

    def test_the_access_log_moves_when_it_is_told_to(self, tmp_path: Path) -> None:
        one, other = tmp_path / "one", tmp_path / "other"
        first = answering("x", log={"access": {"path": str(one)}})
        with Gateway(first) as gateway, gateway.client() as client:
            client.ask()
            reload(gateway, answering("x", log={"access": {"path": str(other)}}))
            assert one.read_text().count("\n") == 1
            client.ask()
        assert (one.read_text().count("\n"), other.read_text().count("\n")) == (1, 1)


class TestCounters:
    def test_routes_keep_theirs_wherever_they_stand(self) -> None:
        def config(*paths: str) -> dict[str, Any]:
            return routed([{"path": path, "respond": {}} for path in paths], **ADMIN)

        def count(path: str) -> float:
            return metric(gateway, "tetrapylon_gateway_duration_seconds_count", http_route=path)

        with Gateway(config("/a", "/b")) as gateway, gateway.client() as client:
            client.ask("GET", "/a")
            client.ask("GET", "/b")
            client.ask("GET", "/b")
            reload(gateway, config("/c", "/b"))
            client.ask("GET", "/c")
            client.ask("GET", "/b")
            reload(gateway, config("/b", "/c", "/a"))
            client.ask("GET", "/a")
            assert [count(path) for path in ("/a", "/b", "/c")] == [2, 3, 1]

    def test_a_killed_workers_successor_finds_them(self) -> None:
        def config(*paths: str) -> dict[str, Any]:
            return routed([{"path": path, "respond": {}} for path in paths], **ADMIN)

        with Gateway(config("/a")) as gateway:
            reload(gateway, config("/b", "/a"))
            with gateway.client() as client:
                client.ask("GET", "/b")
                (worker,) = set(gateway.workers) - {control_of(gateway)}
                os.kill(worker, signal.SIGKILL)
            gateway.wait_line("was killed")
            with gateway.client() as client:
                client.ask("GET", "/b")
            name = "tetrapylon_gateway_duration_seconds_count"
            assert metric(gateway, name, http_route="/b") == 2


def control_of(gateway: Gateway) -> int:
    """The control process: it alone maps no worker's slab for itself, and was started last."""
    return gateway.workers[-1]


class TestRefusals:
    def test_a_bad_config_changes_nothing_and_all_its_errors_are_told(self) -> None:
        with Gateway(answering("old")) as gateway, gateway.client() as client:
            gateway.write(routed([{"path": "/", "respnd": {}}, {"pth": "/x"}]))
            gateway.signal(signal.SIGHUP)
            gateway.wait_line("respnd: unknown key")
            gateway.wait_line("pth: unknown key")
            gateway.wait_line("generation 1 stays in force")
            assert client.ask().body == b"old"

    def test_a_certificate_that_cannot_be_read_is_one(self, tmp_path: Path) -> None:
        with Gateway(answering("old")) as gateway, gateway.client() as client:
            tls = {"cert": str(tmp_path / "gone"), "key": str(tmp_path / "gone")}
            gateway.write(answering("new", server={"listen": [{"address": "127.0.0.1:0", "tls": tls}]}))
            gateway.signal(signal.SIGHUP)
            gateway.wait_line("refused")
            assert client.ask().body == b"old"


class TestAnswers:
    def test_it_says_what_has_changed_route_by_route(self) -> None:
        before = [{"path": "/a", "respond": {"body": "x"}}, {"path": "/b", "respond": {}}]
        after = [{"path": "/a", "respond": {"body": "y"}}, {"path": "/c", "methods": ["GET"], "respond": {}}]
        with Gateway(routed(before, **ADMIN)) as gateway:
            gateway.write(routed(after, **ADMIN))
            for path in ("/reload?dry_run=1", "/reload"):
                outcome = order(gateway, path)
                assert outcome["summary"] == "routes: 1 added, 1 removed, 1 changed"
                found = {(each["what"], each["name"]) for each in outcome["changes"]["routes"]}
                assert found == {("changed", "* /a"), ("added", "GET /c"), ("removed", "* /b")}
                changed = next(each for each in outcome["changes"]["routes"] if each["what"] == "changed")
                assert changed["details"] == [{"path": "respond.body", "old": "x", "new": "y"}]

    def test_secrets_are_not_in_it(self) -> None:
        def config(password: str) -> dict[str, Any]:
            shown = {"credentials": {"user": "me", "password": password}}
            return proxy("http://127.0.0.1:9", upstream=shown, **ADMIN)

        with Gateway(config("swordfish")) as gateway:
            outcome = reload(gateway, config("sesame"))
            assert outcome["summary"] == "upstreams: 1 changed"
            assert "sesame" not in json.dumps(outcome)
            assert "swordfish" not in json.dumps(outcome)

    def test_it_says_what_needs_a_restart(self) -> None:
        with Gateway(answering("x")) as gateway:
            gateway.write(routed([{"path": "/", "respond": {}}], admin={"listen": "127.0.0.1:1"}))
            assert order(gateway, "/reload")["restart"] == ["admin"]
            gateway.wait_line("admin has changed and takes effect with a restart")

    def test_a_rollback_goes_back_to_the_config_before(self) -> None:
        with Gateway(answering("one")) as gateway, gateway.client() as client:
            reload(gateway, answering("two"))
            reload(gateway, answering("three"))
            order(gateway, "/rollback")
            assert client.ask().body == b"two"
            order(gateway, "/rollback?generation=1")
            assert client.ask().body == b"one"
            assert order(gateway, "/reload")["summary"] == "routes: 1 changed"
            assert client.ask().body == b"three"

    @pytest.mark.parametrize("header", [{"Origin": "http://evil.test"}, {"Sec-Fetch-Site": "cross-site"}])
    def test_a_page_of_another_site_gives_no_orders(self, header: dict[str, str]) -> None:
        with Gateway(answering("x")) as gateway:
            asked = urllib.request.Request(f"http://{gateway.admin}/reload", method="POST", headers=header)
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(asked, timeout=10)
