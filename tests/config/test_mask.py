"""What is secret or was filled in from elsewhere is in no output."""

import json
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from tetrapylon import catalog
from tetrapylon.config import load, loads, validate
from tetrapylon.config.mask import masked
from tetrapylon.config.model import Config, Credentials, Target, Upstream
from tetrapylon.config.secrets import Secret, names_secret
from tetrapylon.errors import ConfigError

TEXT = """\
server: {workers: "${WORKERS}", timeouts: {header: "${WAIT}"}}
upstreams:
  literal:
    targets: [{url: "http://127.0.0.1:9000", weight: 2}]
    credentials: {user: app, password: sesame-1}
    headers: {X-Api-Key: sesame-2, X-Tenant: acme}
  filled:
    targets: ["http://${HOST}:9000"]
    timeouts: {response: 7s, total: none}
    credentials: {bearer: "${TOKEN:-sesame-3}"}
    headers: {X-Tenant: "tenant ${TENANT}", X-Auth-Token: "t ${TOKEN:-sesame-3}"}
routes:
  - {path: /, upstream: filled, limits: {body: none}}
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORKERS": "3", "WAIT": "4s", "HOST": "127.0.0.2", "TENANT": "sesame-4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TOKEN", raising=False)


def test_a_config_is_shown_as_its_file_has_it_without_secrets() -> None:
    assert masked(loads(TEXT, "gateway.yaml")) == {
        "server": {"workers": 3, "timeouts": {"header": "4s"}},
        "upstreams": {
            "literal": {
                "targets": [{"url": "http://127.0.0.1:9000", "weight": 2}],
                "credentials": {"user": "app", "password": "***"},
                "headers": {"X-Api-Key": "***", "X-Tenant": "acme"},
            },
            "filled": {
                "targets": ["http://${HOST}:9000"],
                "timeouts": {"response": "7s"},
                "credentials": {"bearer": "${TOKEN}"},
                "headers": {"X-Tenant": "tenant ${TENANT}", "X-Auth-Token": "***"},
            },
        },
        "routes": [{"path": "/", "upstream": "filled", "limits": {"body": "none"}}],
    }


def test_no_secret_is_in_what_is_shown_or_in_a_repr() -> None:
    config = loads(TEXT, "gateway.yaml")
    assert "sesame" not in json.dumps(masked(config))
    for number in (1, 2, 3):
        assert f"sesame-{number}" not in repr(config)
    assert "acme" in repr(config)


def test_an_alias_of_what_was_filled_in_is_masked_wherever_it_stands() -> None:
    text = (
        "upstreams:\n  a: {targets: [http://127.0.0.1:1], headers: &h {X-Who: '${TENANT}'}}\n"
        "  b: {targets: [http://127.0.0.1:2], headers: *h}\n"
        "routes: [{path: /a, upstream: a}, {path: /b, upstream: b}]\n"
    )
    shown = masked(loads(text, "gateway.yaml"))["upstreams"]
    assert shown["a"]["headers"] == shown["b"]["headers"] == {"X-Who": "${TENANT}"}


def test_what_was_filled_in_in_an_included_file_is_masked(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text("include: [more.yaml]\nroutes: [{path: /x, respond: {}}]\n")
    (tmp_path / "more.yaml").write_text("routes: [{path: /, respond: {body: '${TENANT}'}}]\n")
    shown = masked(load(str(tmp_path / "gateway.yaml")))
    assert shown["routes"][1]["respond"] == {"body": "${TENANT}"}


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    shared: Secret
    rounds: int = 1
    parts: dict[str, Secret] = {}
    client_secret: str = ""


class Signed:
    """Has secrets, in tests."""

    Settings: ClassVar[type[msgspec.Struct]] = Keys


def test_settings_of_policies_are_masked_by_type_and_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "POLICIES", {"signed": f"{__name__}:Signed"})
    text = (
        "policies: [{use: signed, shared: sesame, rounds: 2, parts: {a: sesame},"
        " client_secret: '${TENANT}'}]\n"
        "routes: [{path: /, respond: {}}]\n"
    )
    assert masked(loads(text, "gateway.yaml"))["policies"] == [
        {"use": "signed", "shared": "***", "rounds": 2, "parts": {"a": "***"}, "client_secret": "${TENANT}"}
    ]


@pytest.mark.parametrize("policy", ["rate_limit, rate: 1/s", "cache"])
def test_a_password_within_a_url_is_masked(policy: str) -> None:
    url = "redis://gateway:se%40same@cache.internal:6379/0"
    text = (
        "upstreams: {shop: {targets: ['http://127.0.0.1:9']}}\n"
        "routes: [{path: /, upstream: shop,"
        f" policies: [{{use: {policy}, store: redis, redis: '{url}'}}]}}]\n"
    )
    (route,) = masked(loads(text, "gateway.yaml"))["routes"]
    assert route["policies"][0]["redis"] == "redis://gateway:***@cache.internal:6379/0"
    with pytest.raises(ConfigError) as refused:
        loads(text.replace("redis://", "http://"), "gateway.yaml")
    assert "is not the URL of a Redis" in str(refused.value)
    assert "same" not in str(refused.value)


def test_a_config_built_in_python_is_masked_by_type() -> None:
    upstream = Upstream(targets=(Target(url="http://127.0.0.1:1"),), credentials=Credentials(bearer="sesame"))
    shown = masked(validate(Config(upstreams={"a": upstream})))
    assert shown["upstreams"]["a"]["credentials"] == {"bearer": "***"}


def test_what_consumers_are_known_by_is_masked() -> None:
    text = (
        f"consumers: [{{name: m, api_keys: ['sha256:{64 * 'a'}'],"
        " hmac_keys: {k1: sesame-sesame-sesame}}]\n"
        "routes: [{path: /, respond: {}}]\n"
    )
    config = loads(text, "gateway.yaml")
    assert masked(config)["consumers"] == [{"name": "m", "api_keys": ["***"], "hmac_keys": {"k1": "***"}}]
    assert "sesame" not in repr(config)
    assert "aaaa" not in repr(config)


@pytest.mark.parametrize(
    "text",
    [
        "upstreams: {a: {targets: [http://127.0.0.1:1], credentials: {user: u, password: 73737373}}}",
        "upstreams: {a: {targets: ['http://${TENANT}:x']}}",
        "upstreams: {a: {targets: ['${TENANT}']}}",
        "routes: [{path: /, upstream: '${TENANT}'}]",
        "routes: [{path: '/{${TENANT}', respond: {}}]",
        "routes: [{path: /, redirect: '${TENANT}'}]",
        "routes: [{path: /a, respond: {}, name: '${TENANT}'}, {path: /b, respond: {}, name: '${TENANT}'}]",
    ],
)
def test_no_message_shows_a_secret(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        loads(text, "gateway.yaml")
    assert "sesame" not in str(error.value)
    assert "7373" not in str(error.value)


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "client_secret", "password", "refresh_token"])
def test_names_that_tell_of_a_secret(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize("name", ["key", "X-Tenant", "tokens_left", "Accept", "secretary"])
def test_names_that_do_not(name: str) -> None:
    assert not names_secret(name)


def test_what_may_be_written_in_more_than_one_way_is_shown_as_it_was_written() -> None:
    balance = "{consistent_hash: {key: client, bound: 1.25}}"
    limit = "{use: rate_limit, rate: 5/s, key: [client, route]}"
    shown = masked(
        loads(
            f"upstreams: {{a: {{targets: [unix:/a], balance: {balance}}}}}\n"
            f"routes: [{{path: /, upstream: a, policies: [{limit}]}}]\n",
            "gateway.yaml",
        )
    )
    assert shown["upstreams"]["a"]["balance"] == {"consistent_hash": {"key": "client", "bound": 1.25}}
    assert shown["routes"][0]["policies"][0]["key"] == ["client", "route"]
