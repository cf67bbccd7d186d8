"""`mtls`: whose certificate it is, by the subject."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Client, Gateway, Response, Upstream, answers, proxy, secure
from tests.harness.secure import Authority

CONSUMERS = [
    {"name": "warehouse", "subjects": ["CN=warehouse-7,OU=Tests,O=Acme"], "groups": ["internal"]},
    {"name": "b.partner.test", "metadata": {"tenant": "b"}},
]


class Rig:
    def __init__(self, directory: Path) -> None:
        self.own = Authority(directory, "own")
        self.clients = Authority(directory, "clients")
        self.strangers = Authority(directory, "strangers")
        tls = self.own.issue("gateway.test").config(client_ca=self.clients.pem, client_auth="optional")
        policy = {
            "use": "mtls",
            "allow": ["CN=*.partner.test,O=Acme", "OU=Auditors"],
            "headers": {
                "X-Who": "name",
                "X-Groups": "groups",
                "X-Tenant": "metadata.tenant",
                "X-Subject": "subject",
            },
        }
        self.upstream = Upstream(answers.ok)
        self.gateway = Gateway(
            proxy(
                self.upstream.url,
                server={"listen": [{"address": "127.0.0.1:0", "tls": tls}]},
                policies=[policy],
                consumers=CONSUMERS,
            )
        )

    def ask(self, name: str | None) -> Response:
        pair = None if name is None else self.clients.issue("client@example.test", common_name=name)
        with Client(self.gateway.address, wrap=secure.client(self.own.trusted(pair))) as client:
            return client.ask("GET", "/", [("X-Who", "root"), ("x_subject", "CN=root")])


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("mtls"))
    with made.upstream, made.gateway:
        yield made


def test_a_consumers_own_subject(rig: Rig) -> None:
    assert rig.ask("warehouse-7").status == 200
    seen = rig.upstream.requests[-1].headers
    assert seen.all("X-Who") == ["warehouse"]
    assert seen.all("X-Groups") == ["internal"]
    assert seen.all("X-Subject") == ["CN=warehouse-7,OU=Tests,O=Acme"]
    assert not seen.has("x_subject")


def test_a_rule_lets_in_whom_the_config_does_not_name(rig: Rig) -> None:
    assert rig.ask("a.partner.test").status == 200
    assert rig.upstream.requests[-1].headers.all("X-Who") == ["a.partner.test"]
    assert rig.ask("b.partner.test").status == 200
    assert rig.upstream.requests[-1].headers.all("X-Tenant") == ["b"]


@pytest.mark.parametrize(
    "name",
    [
        "warehouse-8",
        "warehouse-7,OU=Auditors",
        "x,CN=warehouse-7,OU=Tests,O=Acme",
        "a.partner.test.evil",
        "apartner.test",
        "*.partner.tes",
        ",O=Acme",
    ],
)
def test_others_are_refused(rig: Rig, name: str) -> None:
    before = len(rig.upstream.requests)
    response = rig.ask(name)
    assert response.status == 403
    assert json.loads(response.body)["reason"] == "subject"
    assert len(rig.upstream.requests) == before


def test_no_certificate(rig: Rig) -> None:
    response = rig.ask(None)
    assert response.status == 403
    assert json.loads(response.body)["reason"] == "missing"
