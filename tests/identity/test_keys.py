"""Keys that tokens are verified with: what is taken, what is left out, what is refused."""

import json
import warnings
from pathlib import Path

import pytest
from joserfc import jwk

from tetrapylon.identity.tokens import BadKey, Keys, read_jwks, read_pem, secret_key

RSA = jwk.RSAKey.generate_key(2048, {"kid": "a"})
EC = jwk.ECKey.generate_key("P-256", {"kid": "b"})
P384 = jwk.ECKey.generate_key("P-384", {"kid": "b"})
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    WEAK = jwk.RSAKey.generate_key(1024, {"kid": "weak"})
ALL = ("HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA")


def key_set(*entries: object) -> bytes:
    return json.dumps({"keys": entries}).encode()


def public(key: jwk.RSAKey | jwk.ECKey) -> dict[str, object]:
    return dict(key.as_dict(private=False))


def test_a_key_serves_the_algorithms_of_its_kind() -> None:
    keys = Keys(read_jwks(key_set(public(RSA), public(EC), public(P384))), ALL)
    serving = {(alg, kid) for alg in ALL for kid in "ab" if keys.find(alg, kid)}
    assert serving == {("RS256", "a"), ("PS256", "a"), ("ES256", "b"), ("ES384", "b")}
    assert len(keys) == 3


def test_what_a_set_may_have_beside() -> None:
    """RFC 7517, 5: what is not understood is left out."""
    entries = [
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
        {"kty": "RSA"},
        {"kty": "RSA", "n": "!!", "e": "AQAB"},
        {**public(RSA), "use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"},
        public(WEAK),
        "rubbish",
        None,
        {**public(EC), "alg": "ES256"},
    ]
    keys = Keys(read_jwks(key_set(*entries)), ALL)
    assert len(keys) == 1
    assert len(keys.find("ES256", "b")) == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"[" * 100_000, b"\xff",
     key_set({"kty": "oct"}), key_set(*[{"kty": "x"}] * 1001)],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_what_is_no_set_of_keys(data: bytes) -> None:
    with pytest.raises(BadKey):
        read_jwks(data)


def test_secrets_come_from_files_alone() -> None:
    entry = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "s"}
    assert len(read_jwks(key_set(entry), secrets=True)) == 1


def test_pem() -> None:
    for key in (RSA, EC):
        assert len(Keys([read_pem(key.as_pem(private=False))], ALL)) == 1
    with pytest.raises(BadKey, match="private"):
        read_pem(RSA.as_pem(private=True))
    with pytest.raises(BadKey, match="broken"):
        read_pem(WEAK.as_pem(private=False))
    with pytest.raises(BadKey, match="PEM"):
        read_pem(Path(__file__).read_bytes())


@pytest.mark.parametrize(("alg", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_has_the_size_of_the_hash(alg: str, size: int) -> None:  # RFC 7518, 3.2
    assert secret_key("x" * size, [alg]).key_type == "oct"
    with pytest.raises(BadKey, match=f"{size} bytes"):
        secret_key("x" * (size - 1), ["RS256", alg])
