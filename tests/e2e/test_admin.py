"""The admin address as strangers, browsers and Prometheus find it."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_reload import answering
from tests.harness import Gateway, Upstream, answers, eventually, proxy, request
from tests.harness.openmetrics import read_openmetrics
from tests.harness.secure import Authority
from tests.meta.source import ROOT

COMMAND = str(Path(sys.executable).with_name("tetrapylon"))
TOKEN = "a-token-that-nobody-guesses"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway(answering("as it was")) as running:
        yield running


def ask(
    address: str | None,
    method: str,
    path: str,
    *,
    tls: ssl.SSLContext | None = None,
    **fields: str,
) -> tuple[int, dict[str, str], bytes]:
    assert address is not None
    host, _, port = address.rpartition(":")
    client = (
        http.client.HTTPConnection(host, int(port), timeout=20)
        if tls is None
        else http.client.HTTPSConnection(host, int(port), timeout=20, context=tls)
    )
    try:
        client.request(method, path, None, {name.replace("_", "-"): text for name, text in fields.items()})
        response = client.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        client.close()


def told(gateway: Gateway, path: str) -> Any:
    status, _, body = ask(gateway.admin, "GET", path)
    assert status == 200
    return json.loads(body)


def test_the_docs_list_what_is_there(gateway: Gateway) -> None:
    """docs/reload.md, by what `/status` lists; `/live` is the page's own."""
    page = (ROOT / "docs" / "reload.md").read_text(encoding="utf-8")
    table = page.partition("## The admin address\n")[2].partition("\n### ")[0]
    shown = set(
        re.findall(r"`(?:POST |DELETE )?(/[\w/]*)[^`]*`", "".join(re.findall(r"^\| (.+?) \|", table, re.M)))
    )
    assert shown | {"/live"} == set(told(gateway, "/status")["endpoints"])


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/reload", {}, 405),
        ("PUT", "/reload", {}, 405),
        ("POST", "/reload?dry_runn=1", {}, 400),
        ("POST", "/reload?dry_run=yes", {}, 400),
        ("POST", "/rollback?generation=first", {}, 400),
        ("POST", "/rollback?generation=99", {}, 422),
        ("POST", "/reload", {"Content_Length": "3"}, 413),
        ("POST", "/reload", {"X_Large": "x" * 20_000}, 431),
        ("POST", "/reload", {"Host": "evil.test"}, 421),
        ("POST", "/reload", {"Sec_Fetch_Site": "cross-site"}, 403),
        ("POST", "/reload", {"Sec_Fetch_Site": "same-site"}, 403),
        ("POST", "/reload", {"Origin": "https://evil.test"}, 403),
        ("POST", "/reload", {"Origin": "null"}, 403),
        ("POST", "/nothing", {}, 404),
    ],
)
def test_what_is_wrong_with_an_order_is_a_problem_and_changes_nothing(
    gateway: Gateway, method: str, path: str, fields: Any, status: int
) -> None:
    gateway.write(answering("changed"))
    before = told(gateway, "/status")["generation"]
    answered, headers, body = ask(gateway.admin, method, path, **fields)
    assert (answered, headers["Content-Type"]) == (status, "application/problem+json")
    assert json.loads(body)["status"] == status
    assert json.loads(body)["detail"]
    assert told(gateway, "/status")["generation"] == before
    with gateway.client() as client:
        assert client.ask("GET", "/").body == b"as it was"


def test_an_order_without_the_token_changes_nothing() -> None:
    admin = {"admin": {"listen": "127.0.0.1:0", "token": TOKEN}}
    with Gateway(answering("as it was") | admin) as gateway:
        gateway.write(answering("changed") | admin)
        for wrong in ("", "Bearer wrong"):
            status, headers, _ = ask(gateway.admin, "POST", "/reload", Authorization=wrong)
            assert (status, headers["Content-Type"]) == (401, "application/problem+json")
        with gateway.client() as client:
            assert client.ask("GET", "/").body == b"as it was"
            status, _, body = ask(gateway.admin, "POST", "/reload", Authorization=f"Bearer {TOKEN}")
            assert (status, json.loads(body)["outcome"]) == (200, "applied")
            assert client.ask("GET", "/").body == b"changed"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def secured(certificates: Authority) -> Iterator[Gateway]:
    """On an address that other machines reach, without a token."""
    own = certificates.issue("127.0.0.1", "localhost")
    admin = {"listen": "0.0.0.0:0", "tls": own.config(client_ca=certificates.pem)}
    with Gateway(answering("x") | {"admin": admin}) as gateway:
        assert any("admin on https://0.0.0.0:" in line for line in gateway.lines)
        yield gateway


class TestClientCertificates:
    def context(self, trusted: Authority, by: Authority | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=trusted.pem)
        if by is not None:
            context.load_cert_chain(*by.issue("operator.test"))
        return context

    def at(self, gateway: Gateway) -> str:
        assert gateway.admin is not None
        return f"127.0.0.1:{gateway.admin.rpartition(':')[2]}"

    def test_who_shows_one_is_answered(self, secured: Gateway, certificates: Authority) -> None:
        context = self.context(certificates, certificates)
        assert ask(self.at(secured), "GET", "/config", tls=context)[0] == 200
        assert ask(self.at(secured), "GET", "/metrics", tls=context)[2].endswith(b"\n")

    def test_who_shows_none_may_probe(self, secured: Gateway, certificates: Authority) -> None:
        context = self.context(certificates, None)
        assert ask(self.at(secured), "GET", "/readyz", tls=context)[0] == 200
        for path in ("/", "/config", "/metrics", "/upstreams"):
            status, headers, _ = ask(self.at(secured), "GET", path, tls=context)
            assert (status, headers["Content-Type"]) == (403, "application/problem+json")

    def test_one_of_another_authority_is_refused(
        self, secured: Gateway, certificates: Authority, tmp_path: Path
    ) -> None:
        context = self.context(certificates, Authority(tmp_path, "stranger"))
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on when the alert comes
            ask(self.at(secured), "GET", "/readyz", tls=context)
        assert ask(self.at(secured), "GET", "/livez", tls=self.context(certificates, None))[0] == 200

    def test_plain_text_is_not_answered(self, secured: Gateway) -> None:
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(self.at(secured), "GET", "/livez")

    def test_the_verbs_show_theirs(self, secured: Gateway, certificates: Authority, tmp_path: Path) -> None:
        cert, key = certificates.issue("operator.test")
        shown = {"TETRAPYLON_ADMIN_CERT": cert, "TETRAPYLON_ADMIN_KEY": key}
        address = f"https://{self.at(secured)}"

        def status(**environment: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [COMMAND, "status", "--admin", address],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                env={**os.environ, "NO_COLOR": "1", **environment},
            )

        trusting = {"TETRAPYLON_ADMIN_CA": certificates.pem}
        assert "serving" in status(**shown, **trusting).stdout
        assert "client certificate" in status(**trusting).stderr
        assert "certificate verify failed" in status(**shown).stderr
        bad = status(**trusting, TETRAPYLON_ADMIN_CERT=str(tmp_path / "none"))
        assert (bad.returncode, "TETRAPYLON_ADMIN_CERT" in bad.stderr) == (2, True)


def test_metrics_of_real_traffic_are_openmetrics(tmp_path: Path) -> None:
    with Upstream(answers.ok) as upstream:
        more: Any = {
            "admin": {"listen": "127.0.0.1:0"},
            "metrics": {"duration_bounds": ["20ms", "5s"], "gateway_bounds": ["10ms"]},
        }
        with Gateway(proxy(upstream.url, **more)) as gateway, gateway.client() as client:
            for method in ("GET", "PUT", "GET"):
                client.ask(method, "/")
            eventually(lambda: b'_count{upstream="backend"} 3' in metrics(gateway), "three are counted")
            found = {f.name: f for f in read_openmetrics(metrics(gateway).decode())}
    requests = {
        (s.labels["http_request_method"], s.labels["http_response_status_class"]): s.value
        for s in found["tetrapylon_requests"].samples
        if s.name.endswith("_total")
    }
    assert requests == {("GET", "2xx"): 2, ("PUT", "2xx"): 1}
    for name in ("http_client_request_duration_seconds", "tetrapylon_upstream_first_byte_duration_seconds"):
        bounds = [s.labels["le"] for s in found[name].samples if "le" in s.labels]
        assert bounds == ["0.02", "5.0", "+Inf"]
    connects = found["tetrapylon_upstream_connect_duration_seconds"].samples
    assert [s.value for s in connects if s.name.endswith("_count")] == [1]


def test_what_is_under_way_is_told_by_route_and_upstream_and_goes_with_its_worker() -> None:
    gate = threading.Event()
    try:
        with Upstream(answers.slow(gate)) as upstream:
            settings = {"pool": {"max_connections": 1}}
            config = proxy(upstream.url, upstream=settings, admin={"listen": "127.0.0.1:0"})
            with Gateway(config) as gateway, gateway.client() as one, gateway.client() as other:

                def now() -> dict[str, float]:
                    families = {f.name: f for f in read_openmetrics(metrics(gateway).decode())}
                    return {
                        name: sum(s.value for s in families[name].samples)
                        for name in (
                            "tetrapylon_route_active_requests",
                            "tetrapylon_upstream_connections",
                            "tetrapylon_upstream_connections_idle",
                            "tetrapylon_upstream_queue",
                        )
                    }

                for client in (one, other):
                    client.send(request())
                eventually(lambda: [*now().values()] == [2, 1, 0, 1], "one is asked, one waits")
                os.kill(gateway.workers[0], signal.SIGKILL)
                eventually(lambda: [*now().values()] == [0, 0, 0, 0], "with the worker they are gone")
    finally:
        gate.set()


def metrics(gateway: Gateway) -> bytes:
    return ask(gateway.admin, "GET", "/metrics", Accept="application/openmetrics-text")[2]


def test_routes_beyond_the_cap_share_a_series_and_it_says_so() -> None:
    paths = [f"/{name}" for name in "abcd"]
    config = {
        **answering("x"),
        "routes": [{"path": path, "respond": {"body": "x"}} for path in paths],
        "metrics": {"max_routes": 2},
    }
    with Gateway(config) as gateway, gateway.client() as client:
        assert any("2 routes share the series of the route `other`" in line for line in gateway.lines)
        for path in paths:
            client.ask("GET", path)

        def counted() -> dict[str, float]:
            families = read_openmetrics(metrics(gateway).decode())
            (family,) = [each for each in families if each.name == "tetrapylon_requests"]
            return {s.labels["http_route"]: s.value for s in family.samples if s.name.endswith("_total")}

        eventually(lambda: counted() == {"/a": 1, "/b": 1, "other": 2}, "all four are counted")


def test_reloads_are_counted_by_what_became_of_them() -> None:
    with Gateway(answering("one")) as gateway:
        for body in ("two", "three", "three"):
            gateway.write(answering(body))
            assert ask(gateway.admin, "POST", "/reload")[0] == 200
        gateway.write("routes: [")
        assert ask(gateway.admin, "POST", "/reload")[0] == 422
        assert ask(gateway.admin, "POST", "/reload?dry_run=1")[0] == 422
        (family,) = [
            each for each in read_openmetrics(metrics(gateway).decode()) if each.name == "tetrapylon_reloads"
        ]
        counted = {s.labels["outcome"]: s.value for s in family.samples if s.name.endswith("_total")}
        assert counted == {"applied": 2, "unchanged": 1, "refused": 1}
