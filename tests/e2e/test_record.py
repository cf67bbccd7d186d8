"""Live traffic goes to a file without what is secret, can be sent again, and tells new configs apart."""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Client, Gateway, Upstream, answers, request
from tests.harness import eventually as holds
from tetrapylon.cli import main

eventually = partial(holds, within=30.0)
"""Writing gives way to traffic: on a busy machine it takes its time."""
ROUTES: list[dict[str, Any]] = [
    {"path": "/users/{id:int}", "name": "user", "methods": ["GET"], "upstream": "shop"},
    {"path": "/{rest:path}", "name": "shop", "upstream": "shop"},
]
CARD, NO_CARD = "4111111111111111", "1700000000123"


class Recorded:
    def __init__(self, gateway: Gateway, upstream: Upstream, file: Path) -> None:
        self.gateway, self.upstream, self.file = gateway, upstream, file

    @property
    def admin(self) -> str:
        assert self.gateway.admin is not None
        return self.gateway.admin

    def lines(self, count: int) -> list[dict[str, Any]]:
        """All of them, once there are so many."""
        eventually(
            lambda: self.file.exists() and self.file.read_text().count("\n") >= count, f"{count} recorded"
        )
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def metric(self, name: str) -> int:
        with Client(self.admin) as operator:
            text = operator.send(request("GET", "/metrics", host="localhost")).response().body.decode()
        return sum(int(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


@contextmanager
def recording(
    tmp_path: Path, *, file: Path | None = None, size: str = "1MiB", **settings: Any
) -> Iterator[Recorded]:
    file = file or tmp_path / "requests.jsonl"
    with Upstream(answers.echo) as upstream:
        config = {
            "upstreams": {"shop": {"targets": [upstream.url]}},
            "policies": [{"use": "record", "sample": "100%", **settings}],
            "record": {"file": str(file), "size": size},
            "routes": ROUTES,
            "admin": {"listen": "127.0.0.1:0"},
        }
        with Gateway(config) as gateway:
            yield Recorded(gateway, upstream, file)


def test_a_request_is_recorded_as_it_came(tmp_path: Path) -> None:
    with recording(tmp_path) as running, running.gateway.client() as client:
        client.ask(
            "GET", "/users/4711?full=1", headers=[("X-Version", "2"), ("Connection", "X-Hop"), ("X-Hop", "1")]
        )
        client.ask("POST", "/a%2Fb", body=b'{"n": 1.0}', headers=[("Content-Type", "application/json")])
        first, second = running.lines(2)
        assert (first["target"], first["route"], first["status"]) == ("/users/4711?full=1", "user", 200)
        assert ["X-Version", "2"] in first["headers"]
        names = {name.lower() for name, _ in first["headers"]}
        assert "host" in names
        assert not names & {"x-hop", "connection", "x-forwarded-for", "via", "content-length"}
        assert first["time"].endswith("Z")
        assert (second["method"], second["target"], second["body"]) == ("POST", "/a%2Fb", '{"n": 1.0}')
        assert stat.S_IMODE(running.file.stat().st_mode) == 0o600


def test_what_is_secret_or_personal_never_reaches_the_file(tmp_path: Path) -> None:
    fields = [
        ("Authorization", "Bearer sesame"),
        ("Cookie", "session=sesame"),
        ("X-API-Key", "sesame"),
        ("X-Auth-Token", "sesame"),
        ("X-Forwarded-For", "192.0.2.77"),
        ("Referer", "https://a.example/?token=sesame"),
        ("X-Note", "ask jane@example.com"),
    ]
    body = {
        "user": {"password": "sesame", "mail": "jane@example.com", "born": 5},
        "card": CARD,
        "api_key": 7133,
    }
    with recording(tmp_path) as running, running.gateway.client() as client:
        client.ask(
            "GET",
            f"/p/{CARD}/{NO_CARD}/jane%40example.com?token=sesame&e=jane%40example.com&n=2",
            headers=fields,
        )
        client.ask(
            "POST",
            "/form",
            body=b"password=sesame&n=2&who=jane%40example.com",
            headers=[("Content-Type", "application/x-www-form-urlencoded")],
        )
        client.ask(
            "POST", "/json", body=json.dumps(body).encode(), headers=[("Content-Type", "application/json")]
        )
        plain, form, nested = running.lines(3)
        text = running.file.read_text()
        for secret in ("sesame", "jane", "192.0.2.77", CARD, "7133"):
            assert secret not in text
        assert plain["target"].startswith(f"/p/{'0' * 16}/{NO_CARD}/")
        assert plain["target"].endswith("?token=redacted&e=redacted&n=2")
        assert ["Authorization", "redacted"] in plain["headers"], "that it was there is kept"
        assert form["body"] == "password=redacted&n=2&who=redacted"
        assert json.loads(nested["body"])["user"]["born"] == 5


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        (b"x" * 3000, "text/plain", "large"),
        (b"\xff\xd8\xff", "image/jpeg", "image/jpeg"),
        (b"{", "application/json", "no JSON"),
        (b"<password>sesame</password>", "application/xml", "application/xml"),
    ],
)
def test_a_body_that_cannot_be_kept_is_left_out_and_said(
    tmp_path: Path, body: bytes, kind: str, why: str
) -> None:
    with recording(tmp_path, body="2KiB") as running, running.gateway.client() as client:
        assert json.loads(client.ask("POST", "/a", body=body, headers=[("Content-Type", kind)]).body)
        (line,) = running.lines(1)
        assert "body" not in line
        assert why in line["left_out"]


def test_a_body_of_unknown_length_streams_by(tmp_path: Path) -> None:
    with recording(tmp_path) as running, running.gateway.client() as client:
        client.send(
            b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        assert client.response().status == 200
        (line,) = running.lines(1)
        assert "unknown length" in line["left_out"]


def test_the_files_stay_within_their_size_and_the_oldest_go_first(tmp_path: Path) -> None:
    with recording(tmp_path, size="64KiB") as running, running.gateway.client() as client:
        for n in range(300):
            client.ask("GET", f"/{n}", headers=[("X-Filler", "x" * 1000)])

        def last() -> str:
            lines = running.file.read_text().splitlines() if running.file.exists() else []
            return str(json.loads(lines[-1])["target"]) if lines else ""

        eventually(lambda: last() == "/299", "the last one is written")
        before = running.file.with_name("requests.jsonl.1")
        assert running.file.stat().st_size + before.stat().st_size <= 65536
        assert json.loads(before.read_text().splitlines()[0])["target"] != "/0"


def test_a_file_that_cannot_be_written_is_said_and_traffic_untouched(tmp_path: Path) -> None:
    with (
        recording(tmp_path, file=tmp_path / "none" / "r.jsonl") as running,
        running.gateway.client() as client,
    ):
        assert client.ask("GET", "/a").status == 200
        running.gateway.wait_line("cannot be written: No such file or directory")
        eventually(lambda: running.metric("tetrapylon_record_lost_total") == 1, "it is counted")
        running.file.parent.mkdir()
        client.ask("GET", "/b")
        assert [line["target"] for line in running.lines(1)] == ["/b"]


def test_the_verb_writes_them_out_and_forgets_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    with recording(tmp_path) as running, running.gateway.client() as client:
        client.ask("GET", "/a")
        running.lines(1)
        assert main(["record", "--admin", running.admin, "--out", str(out)]) == 0
        assert out.read_text() == running.file.read_text()
        assert main(["record", "--admin", running.admin, "--status"]) == 0
        assert str(running.file) in capsys.readouterr().out
        assert main(["record", "--admin", running.admin, "--forget"]) == 0
        assert not running.file.exists()
        client.ask("GET", "/b")
        assert [line["target"] for line in running.lines(1)] == ["/b"]


def test_where_nothing_is_recorded_the_verb_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    config = {"routes": [{"path": "/", "respond": {}}], "admin": {"listen": "127.0.0.1:0"}}
    with Gateway(config) as gateway:
        assert gateway.admin is not None
        assert main(["record", "--admin", gateway.admin]) == 1
    assert "{use: record, sample: 1%}" in capsys.readouterr().err


def test_what_was_recorded_can_be_sent_again_with_other_credentials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with recording(tmp_path) as running, running.gateway.client() as client:
        client.ask("GET", "/a?n=1", headers=[("Authorization", "Bearer sesame")])
        client.ask("GET", "/b")
        running.lines(2)
        with Upstream(answers.named("same")) as old, Upstream(answers.named("same")) as new:
            sides = ["--against", old.url, "--compare", new.url, "--rate", "1000/s"]
            assert main(["replay", str(running.file), *sides, "-H", "Authorization: Bearer other"]) == 0
            said = sorted((each.target, each.headers.get("Authorization")) for each in new.requests)
    assert said == [("/a?n=1", "Bearer other"), ("/b", "Bearer other")]
    assert "shop: 2 compared, 0 different" in capsys.readouterr().out


def test_a_new_config_is_told_apart_by_what_was_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with recording(tmp_path) as running, running.gateway.client() as client:
        for target in ("/users/1", "/users/2", "/users/jane", "/orders"):
            client.ask("GET", target)
        client.ask("POST", "/users/1")
        running.lines(5)
        config = json.loads(running.gateway.config_path.read_text())
        present = str(running.gateway.config_path)
        file = str(running.file)

        def check(config: Any, *more: str) -> tuple[int, str]:
            path = tmp_path / "new.json"
            path.write_text(json.dumps(config))
            status = main(["check", str(path), "--replay", file, *more])
            return status, capsys.readouterr().out

        for against in ([], ["--against", running.admin], ["--against", present]):
            status, out = check(config, *against)
            assert (status, "0 of 5 recorded requests" in out) == (0, True), out

        moved = {**config, "routes": [{**ROUTES[0], "path": "/users/{id}"}, ROUTES[1]]}
        status, out = check(moved)
        assert status == 1
        assert "1 of 5 recorded requests would be treated differently" in out
        assert "route: shop -> user" in out
        assert "GET /users/jane" in out

        gone = {**config, "routes": [ROUTES[0]]}
        status, out = check(gone)
        assert "3 of 5" in out
        assert "route: shop -> none: 404" in out
        assert "route: shop -> none: 405 (Allow: " in out

        limited = {"use": "rate_limit", "rate": "1/s"}
        stricter = {
            **config,
            "routes": [{**ROUTES[0], "policies": [limited], "timeouts": {"total": "1s"}}, ROUTES[1]],
        }
        assert check(stricter)[0] == 0, "the record knows the route alone"
        for against in (["--against", running.admin], ["--against", present]):
            status, out = check(stricter, *against)
            assert status == 1
            assert "2 of 5" in out
            assert "policies: record" in out
            assert "rate_limit" in out
            assert "timeouts.total: none -> 1s" in out


def test_a_record_without_an_admin_address_is_refused_where_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "g.yaml"
    path.write_text("policies: [{use: record}]\nroutes: [{path: /, respond: {}}]\n")
    assert main(["check", str(path)]) == 2
    assert "g.yaml:1:12: policies[0]: nobody would write the file" in capsys.readouterr().err
