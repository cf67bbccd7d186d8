"""What a config may ask of identity's policies: every mistake at its place, and no secret in a message."""

from pathlib import Path

import pytest

from tests.config.test_check import said
from tests.policies.rig import sha256

HEAD = (
    "upstreams: {shop: {targets: [http://127.0.0.1:9000]}}\n"
    "routes: [{path: /, respond: {}}]\n"
    f"consumers: [{{name: a, api_keys: ['{sha256('k')}']}}]\n"
)


def problem(policy: str) -> str:
    (found,) = said(f"{HEAD}policies: [{{{policy}}}]\n")
    assert found.startswith("g.yaml:4:")
    return found.partition("policies[0]")[2]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("use: apikey", ".use: there is no policy 'apikey'; did you mean api_key?"),
        ("use: ip", ": neither `allow` nor `deny` names a network; name at least one"),
        ("use: ip, allow: [10.0.0.0/8], deny: [10.0.0.0/8]", ".deny[0]: 10.0.0.0/8 is in `allow` too"),
        ("use: ip, allow: [10.0.0.1/8]", ".allow[0]: '10.0.0.1/8' has bits set beyond its prefix"),
        ("use: ip, alow: [10.0.0.0/8]", ".alow: unknown key; did you mean `allow`?"),
        ("use: acl", ": nothing is asked of a consumer; give `groups`"),
        ("use: acl, groups: [x], deny_groups: [x]", ".deny_groups[0]: x is in `groups` too"),
        ("use: api_key, header: 'X Key'", ".header: 'X Key' is not a header name"),
        ("use: api_key, file: /nowhere/keys", ".file: /nowhere/keys cannot be read: No such file"),
        ("use: api_key, redis: {url: http://h}", ".redis.url: this is no URL of Redis; expected one such as"),
        ("use: api_key, headers: {X-C: nmae}", ".headers.X-C: 'nmae' is nothing known of a consumer"),
        ("use: basic", ": no consumer has a password; give some `passwords`"),
        ("use: hmac", ": no consumer has a key; give some `hmac_keys`"),
        ("use: mtls, allow: [acme]", ".allow[0]: 'acme' is not a subject; expected one such as CN="),
        ("use: mtls, allow: [O=Acme]", ": no listener asks clients for a certificate"),
        ("use: jwt", ": there is no key to verify tokens with; give jwks, jwks_file"),
        ("use: jwt, secret: s3cr3t, algorithms: [HS256]", ".secret: the secret is shorter than the 32 bytes"),
        ("use: jwt, secret: s3cr3ts3cr3ts3cr3ts3cr3ts3cr3ts3", ".secret: none of the `algorithms` uses"),
        ("use: jwt, algorithms: [none]", ".algorithms[0]: expected ES256, ES384"),
        ("use: jwt, algorithms: []", ".algorithms: the list is empty"),
        ("use: jwt, jwks: {upstream: shpo}, issuer: [x]", ".jwks.upstream: there is no upstream 'shpo'"),
        ("use: jwt, jwks: {upstream: shop}", ": tokens of any issuer would do; give the `iss`"),
        ("use: jwt, jwks: {upstream: shop, path: x}, issuer: [x]", ".jwks.path: 'x' is not a path"),
        ("use: jwt, jwks_file: /nowhere", ".jwks_file: /nowhere cannot be read: No such file"),
        ("use: jwt, public_key: /dev/null", ".public_key: /dev/null: it is no public key; expected PEM"),
        ("use: forward_auth", ": `upstream` is missing"),
        ("use: forward_auth, upstream: shpo", ".upstream: there is no upstream 'shpo'; expected"),
        ("use: forward_auth, upstream: shop, groups: X-G", ".groups: groups are a consumer's; give"),
        ("use: forward_auth, upstream: shop, copy: [Host]", ".copy[0]: Host says something else"),
    ],
)  # fmt: skip
def test_what_cannot_be(policy: str, message: str) -> None:
    found = problem(policy)
    assert found.startswith(message)
    assert "s3cr3t" not in found


def test_components_that_there_are_not() -> None:
    text = HEAD.replace("name: a", "name: a, hmac_keys: {k: 0123456789abcdef}")
    (found,) = said(f"{text}policies: [{{use: hmac, covers: ['@paht']}}]\n")
    assert "policies[0].covers[0]: there is no component @paht; expected one of @method" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s3cr3t mobile", "keys:1: this is no key; expected sha256:HEX NAME [GROUP ...]"),
        (f"# x\n{sha256('k')}", "keys:2: this is no key"),
        (f"{sha256('k')} é", "keys:1: a name or group holds more than printable ASCII"),
        (f"{sha256('k')} a\n{sha256('k')} b", "keys:2: this key stands on line 1 too; leave one of them out"),
    ],
)
def test_a_file_of_keys(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    found = problem(f"use: api_key, file: {file}")
    assert message in found
    assert "s3cr3t" not in found.replace(str(file), "")
