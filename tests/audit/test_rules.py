"""Each rule finds what it is for, where it stands, and nothing in what is sound."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.config.certificates import CA, OWN
from tests.harness.secure import Authority
from tetrapylon.audit import RULES, Rule, audit
from tetrapylon.config.loading import load_document

SOUND = """\
server:
  listen: [127.0.0.1:8080]
  limits: {body: 1MiB}
  timeouts: {drain: 40s}
admin: {listen: 127.0.0.1:9901}
upstreams:
  app: {targets: [http://127.0.0.1:9000]}
policies: [{use: request_id}]
routes:
  - {path: /a, methods: [GET], upstream: app}
"""


def found(tmp_path: Path, text: str) -> list[tuple[str, int, str]]:
    """(rule, line, path) of every finding in the config."""
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return [(each.rule.id, each.line or 0, each.path) for each in audit(*load_document(str(path))).open]


def changed(old: str, new: str) -> str:
    assert old in SOUND
    return SOUND.replace(old, new)


def test_a_sound_config_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, SOUND) == []


LISTEN = "  listen: [127.0.0.1:8080]\n"
ROUTE = "methods: [GET], upstream: app}"
APP = "  app: {targets: [http://127.0.0.1:9000]}\n"
CASES = [
    ("admin-exposed", changed("{listen: 127.0.0.1:9901}", "{listen: 0.0.0.0:9901}"), 5, "admin.listen"),
    (
        "admin-in-clear",
        changed("{listen: 127.0.0.1:9901}", "{listen: '[::]:9901', token: '${HOME}-and-more-than-this'}"),
        5,
        "admin.token",
    ),
    (
        "unsafe-retry",
        changed("9000]}", "9000], retry: {methods: [PUT, POST], on: [reset]}}"),
        7,
        "upstreams.app.retry.methods",
    ),
    ("no-health-check", changed("9000]", "9000, http://127.0.0.1:9001]"), 7, "upstreams.app"),
    (
        "old-tls",
        changed(
            "{listen: 127.0.0.1:9901}",
            f"{{tls: {{cert: {OWN.cert}, key: {OWN.key}, min_version: '1.2'}}}}",
        ),
        5,
        "admin.tls.min_version",
    ),
    ("unauthenticated-write", changed("methods: [GET]", "methods: [POST]"), 10, "routes[0]"),
    (
        "cache-before-identity",
        changed(
            ROUTE, "methods: [GET], upstream: app, policies: [{use: cache}, {use: ip, deny: [10.0.0.1]}]}"
        ),
        10,
        "routes[0].policies[0]",
    ),
    (
        "trust-all",
        changed(LISTEN, LISTEN + "  trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]\n"),
        3,
        "server.trusted_proxies[1]",
    ),
    (
        "open-redirect",
        SOUND + "  - {path: '/to/{site}', redirect: 'https://{site}/x'}\n",
        11,
        "routes[1].redirect",
    ),
    ("open-redirect", SOUND + "  - {path: '/to/{x:path}', redirect: '/{x}'}\n", 11, "routes[1].redirect"),
    (
        "secret-in-clear",
        changed(APP, APP.replace("]}", "], headers: {X-Api-Key: sesame}}")),
        7,
        "upstreams.app.headers.X-Api-Key",
    ),
    (
        "secret-in-clear",
        changed(APP, APP.replace("]}", "], credentials: {user: u, password: sesame}}")),
        7,
        "upstreams.app.credentials.password",
    ),
    (
        "target-unverified",
        changed(APP, "  app: {targets: [https://127.0.0.1:9000], tls: {verify: false}}\n"),
        7,
        "upstreams.app.tls.verify",
    ),
    (
        "credentials-in-plain",
        changed(APP, "  app: {targets: [http://10.0.0.5:9000], credentials: {user: u, password: '${PW}'}}\n"),
        7,
        "upstreams.app.targets[0]",
    ),
    ("body-limit", changed("  limits: {body: 1MiB}\n", "").replace("[GET]", "[POST]"), 9, "routes[0]"),
    ("slow-head", changed("{drain: 40s}", "{drain: 40s, header: 2m}"), 4, "server.timeouts.header"),
    ("no-timeout", changed(APP, APP.replace("]}", "], timeouts: {response: none}}")), 10, "routes[0]"),
    ("no-timeout", changed(ROUTE, ROUTE[:-1] + ", timeouts: {idle: none}}"), 10, "routes[0]"),
    (
        "long-timeout",
        changed(APP, APP.replace("]}", "], timeouts: {response: 1h}}")).replace("40s", "2h"),
        7,
        "upstreams.app.timeouts.response",
    ),
    (
        "dead-timeout",
        changed(APP, APP.replace("]}", "], timeouts: {response: 9s, total: 9s}}")),
        7,
        "upstreams.app.timeouts",
    ),
    ("dead-timeout", changed(ROUTE, ROUTE[:-1] + ", timeouts: {total: 3s}}"), 10, "routes[0].timeouts"),
    ("short-drain", changed("drain: 40s", "drain: 5s"), 4, "server.timeouts.drain"),
    ("no-admin", changed("admin: {listen: 127.0.0.1:9901}\n", ""), 1, ""),
    ("no-access-log", SOUND + "log: {access: none}\n", 11, "log.access"),
    ("no-request-id", changed("policies: [{use: request_id}]\n", ""), 1, "policies"),
    ("unused-upstream", changed(APP, APP + "  old: {targets: [http://127.0.0.1:9]}\n"), 8, "upstreams.old"),
    ("unused-ignore", SOUND + "# audit: ignore no-admin because there is one\n", 11, ""),
]


@pytest.mark.parametrize(
    ("rule", "text", "line", "path"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)
def test_a_rule_finds_what_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, text: str, line: int, path: str
) -> None:
    monkeypatch.setenv("PW", "sesame")
    assert (rule, line, path) in found(tmp_path, text)


def test_what_other_machines_reach(tmp_path: Path) -> None:
    text = changed(LISTEN, "  listen: [{address: '0.0.0.0:8080', proxy_protocol: true}]\n")
    assert {rule for rule, *_ in found(tmp_path, text)} == {
        "client-connections",
        "proxy-protocol-exposed",
        "plain-listener",
    }


def secure(tls: str) -> str:
    if "ciphers" not in tls:  # which belong to TLS 1.2
        tls += ", min_version: '1.3'"
    return changed(LISTEN, f"  listen: [{{address: '127.0.0.1:8443', tls: {{{tls}}}}}]\n")


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[str]:
    os.chmod(OWN.key, 0o600)
    yield f"cert: '{OWN.cert}', key: '{OWN.key}'"
    os.chmod(OWN.key, 0o600)


def test_sound_tls_has_no_findings(tmp_path: Path, keys: str) -> None:
    assert found(tmp_path, secure(keys)) == []
    assert found(tmp_path, secure(f"{keys}, ciphers: 'ECDHE+AESGCM'")) == []


@pytest.mark.parametrize(
    "ciphers", ["AES128-SHA", "AES128-GCM-SHA256", "DEFAULT:@SECLEVEL=0", "ECDHE-ECDSA-AES128-SHA"]
)
def test_ciphers_without_forward_secrecy_or_authenticity(tmp_path: Path, keys: str, ciphers: str) -> None:
    path = "server.listen[0].tls.ciphers"
    assert found(tmp_path, secure(f"{keys}, ciphers: '{ciphers}'")) == [("weak-cipher", 2, path)]


def test_a_key_that_everybody_may_read(tmp_path: Path, keys: str) -> None:
    os.chmod(OWN.key, 0o644)
    assert found(tmp_path, secure(keys)) == [("key-readable", 2, "server.listen[0].tls.key")]


def test_a_certificate_that_ends_soon(tmp_path: Path) -> None:
    soon = Authority(tmp_path).issue("soon.test", ends=datetime.now(UTC) + timedelta(days=9))
    os.chmod(soon.key, 0o600)
    text = secure(f"cert: '{soon.cert}', key: '{soon.key}'")
    assert found(tmp_path, text) == [("certificate-expiring", 2, "server.listen[0].tls.cert")]


def test_a_client_certificate_is_an_identity(tmp_path: Path, keys: str) -> None:
    text = secure(f"{keys}, client_ca: '{CA.pem}'").replace("[GET]", "[POST]")
    assert found(tmp_path, text) == []
    optional = text.replace(f"'{CA.pem}'", f"'{CA.pem}', client_auth: optional")
    assert found(tmp_path, optional) == [("unauthenticated-write", 10, "routes[0]")]


def test_secrets_from_elsewhere_are_not_in_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "sesame")
    text = changed(APP, APP.replace("]}", "], credentials: {user: u, password: '${PW}'}}"))
    assert found(tmp_path, text) == []


SOUND_TOO = {
    "a token and TLS": changed(
        "{listen: 127.0.0.1:9901}",
        f"{{listen: '0.0.0.0:9901', token: '${{HOME}}-and-more-than-this',"
        f" tls: {{cert: {OWN.cert}, key: {OWN.key}, min_version: '1.3'}}}}",
    ),
    "client certificates": changed(
        "{listen: 127.0.0.1:9901}",
        f"{{listen: '0.0.0.0:9901', tls: {{cert: {OWN.cert}, key: {OWN.key}, min_version: '1.3',"
        f" client_ca: {CA.pem}}}}}",
    ),
    "a cache behind what says who may ask": changed(
        ROUTE, "methods: [GET], upstream: app, policies: [{use: ip, allow: [10.0.0.0/8]}, {use: cache}]}"
    ),
    "retries of what was not sent": changed("9000]}", "9000], retry: {methods: [POST], on: [connect]}}"),
    "retries of idempotent methods": changed("9000]}", "9000], retry: {methods: [PUT]}}"),
    "passive health checks": changed("9000]}", "9000, http://127.0.0.1:9001], health: {passive: {}}}"),
}


@pytest.mark.parametrize("text", SOUND_TOO.values(), ids=SOUND_TOO)
def test_and_nothing_in_what_is_sound_in_another_way(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == []


def test_a_token_in_the_config_is_a_secret_in_clear(tmp_path: Path) -> None:
    text = changed("{listen: 127.0.0.1:9901}", "{token: a-token-that-nobody-guesses}")
    assert found(tmp_path, text) == [("secret-in-clear", 5, "admin.token")]


def test_every_rule_has_a_case() -> None:
    elsewhere = {
        "certificate-expiring",
        "key-readable",
        "weak-cipher",
        "client-connections",
        "plain-listener",
        "proxy-protocol-exposed",
        "bad-ignore",
    }
    assert {case[0] for case in CASES} | elsewhere == set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_says_what_why_and_what_to_do(rule: Rule) -> None:
    assert rule.title
    assert not rule.title.endswith(".")
    assert rule.why.endswith(".")
    assert rule.fix.endswith(".")
