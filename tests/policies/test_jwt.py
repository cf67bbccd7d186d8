"""`jwt`: tokens that are believed, and every way in which one is not."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt

from tests.harness import Request, Upstream, answers, eventually
from tests.policies.rig import Guarded, guarded

SECRET = "0123456789abcdef0123456789abcdef"
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec"})
ED = jwk.OKPKey.generate_key("Ed25519", {"kid": "ed"})
OCT = jwk.OctKey.import_key(SECRET)
CONSUMERS = [{"name": "ada", "groups": ["staff"], "metadata": {"tenant": "acme"}}]
Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey | jwk.OctKey


def key_set(*keys: Key) -> str:
    return json.dumps(
        {"keys": [key.as_dict(private=False) if key.key_type != "oct" else key.as_dict() for key in keys]}
    )


def token(
    claims: dict[str, Any] | None = None,
    key: Key = RSA,
    alg: str = "RS256",
    header: dict[str, Any] | None = None,
) -> str:
    said = {"sub": "ada", "iss": "https://login.test", "aud": "shop", "exp": int(time.time()) + 3600}
    said |= claims or {}
    said = {name: value for name, value in said.items() if value is not None}
    fields = {"alg": alg, **({"kid": key.kid} if key.kid else {})}
    return jwt.encode(fields, said, key, algorithms=[alg])


def bearer(text: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {text}")


def b64(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: Any, claims: Any = None, signature: bytes = b"x" * 256) -> str:
    return f"{b64(header)}.{b64(claims if claims is not None else {'sub': 'ada'})}.{b64(signature)}"


def confused() -> str:
    """RS256's public key as HS256's secret: the classic confusion."""
    import hashlib
    import hmac

    text = f"{b64({'alg': 'HS256', 'kid': 'rsa'})}.{b64({'sub': 'ada', 'exp': 9999999999})}"
    return text + "." + b64(hmac.digest(RSA.as_pem(private=False), text.encode(), hashlib.sha256))


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    file: Path = tmp_path_factory.mktemp("keys") / "jwks.json"
    file.write_text(key_set(RSA, EC, ED))
    policy = {
        "use": "jwt",
        "algorithms": ["RS256", "PS256", "ES256", "EdDSA", "HS256"],
        "jwks_file": str(file),
        "secret": SECRET,
        "issuer": ["https://login.test"],
        "audience": ["shop", "admin"],
        "leeway": "5s",
        "required": ["exp", "iat_or_else"],
        "claims": {"plan": ["gold", "silver"]},
        "scopes": ["read"],
        "groups_claim": "roles",
        "headers": {
            "X-User": "name",
            "X-Groups": "groups",
            "X-Scopes": "scopes",
            "X-Tenant": "metadata.tenant",
            "X-Email": "claims.email",
            "X-Level": "claims.level",
        },
        "max_size": "2KiB",
    }
    with guarded(policy, consumers=CONSUMERS) as rig:
        yield rig


GOOD = {"iat_or_else": 1, "plan": "gold", "scope": "write read"}


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (OCT, "HS256")])
@pytest.mark.parametrize(
    "extra", [{}, {"aud": ["x", "admin"]}, {"plan": ["gold", "x"]}, {"exp": time.time() + 3600.5}]
)
def test_a_token_makes_its_consumer_known(strict: Guarded, key: Key, alg: str, extra: dict[str, Any]) -> None:
    text = token({**GOOD, "email": "ada@shop.test", "level": 3, "roles": ["eu"], **extra}, key, alg)
    for _ in range(2):
        seen = strict.passes(bearer(text), ("X-User", "eve")).headers
        assert seen.all("X-User") == ["ada"]
        assert seen.all("X-Groups") == ["eu,staff"]
        assert seen.all("X-Scopes") == ["read write"]
        assert seen.all("X-Tenant") == ["acme"]
        assert seen.all("X-Email") == ["ada@shop.test"]
        assert seen.all("X-Level") == ["3"]
        assert strict.logged()["consumer"] == "ada"
    strict.says_nothing_of(text, text.rpartition(".")[2])


def test_eddsa(strict: Guarded) -> None:
    with pytest.warns(UserWarning, match="EdDSA"):
        text = token(GOOD, ED, "EdDSA")
    strict.passes(bearer(text))


NOW = int(time.time())
BAD: list[tuple[str, str]] = [
    ("", "malformed"),
    ("x", "malformed"),
    ("a.b", "malformed"),
    ("..", "malformed"),
    ("a.b.c", "malformed"),
    ("a.b.c.d", "malformed"),
    ("a.b.c.d.e", "encrypted"),
    (f"{token(GOOD)} x", "malformed"),
    (token(GOOD) + "=", "malformed"),
    (token(GOOD)[:-4] + "+/+/", "malformed"),
    ("A" * 3000, "too_large"),
    (token({**GOOD, "pad": "x" * 3000}), "too_large"),
    (forged("none"), "malformed"),
    (forged(["RS256"]), "malformed"),
    (forged({}), "malformed"),
    (forged({"alg": None}), "malformed"),
    (forged({"alg": ["RS256"]}), "malformed"),
    (forged({"alg": "RS256", "kid": 7}), "malformed"),
    (forged({"alg": "RS256", "kid": None}), "malformed"),
    (forged({"alg": "RS256", "kid": {"a": 1}}), "malformed"),
    (forged(b"\xff\xfe"), "malformed"),
    (forged(b'{"alg":"RS256","kid":"rsa"'), "malformed"),
    (forged(b"[" * 1200), "malformed"),
    (forged({"alg": "RS256", "kid": "rsa", "crit": ["exp"], "exp": 1}), "malformed"),
    (forged({"alg": "RS256", "kid": "rsa", "b64": False, "crit": ["b64"]}), "malformed"),
    (forged({"alg": "RS256", "kid": "rsa", "cty": "JWT"}), "nested"),
    (forged({"alg": "none"}), "algorithm"),
    (forged({"alg": "None"}), "algorithm"),
    (forged({"alg": "nOnE", "kid": "rsa"}, signature=b""), "algorithm"),
    (forged({"alg": "rs256", "kid": "rsa"}), "algorithm"),
    (forged({"alg": "RS512", "kid": "rsa"}), "algorithm"),
    (forged({"alg": "dir", "kid": "rsa"}), "algorithm"),
    (forged({"alg": "ES256", "kid": "rsa"}), "unknown_key"),
    (forged({"alg": "RS256", "kid": "ec"}), "unknown_key"),
    (forged({"alg": "EdDSA", "kid": "ec"}), "unknown_key"),
    (forged({"alg": "RS256", "kid": ""}), "unknown_key"),
    (forged({"alg": "RS256", "kid": "../../etc/passwd"}), "unknown_key"),
    (forged({"alg": "RS256", "kid": "' OR 1=1 --"}), "unknown_key"),
    (forged({"alg": "RS256", "kid": "k" * 900}), "unknown_key"),
    (forged({"alg": "RS256", "kid": "\ud83d\ude00"}), "unknown_key"),
    (forged({"alg": "RS256", "kid": "rsa"}), "signature"),
    (forged({"alg": "RS256", "kid": "rsa"}, signature=b""), "signature"),
    (forged({"alg": "RS256"}), "signature"),
    (forged({"alg": "ES256", "kid": "ec"}), "signature"),
    (forged({"alg": "ES256", "kid": "ec"}, signature=bytes(64)), "signature"),
    (forged({"alg": "EdDSA", "kid": "ed"}, signature=bytes(64)), "signature"),
    (forged({"alg": "PS256", "kid": "rsa"}), "signature"),
    (forged({"alg": "HS256", "kid": "any"}), "signature"),
    (confused(), "signature"),
    (forged({"alg": "RS256", "kid": "rsa", "jwk": RSA.as_dict(private=False)}), "signature"),
    (token(GOOD)[:-2] + ("AA" if token(GOOD)[-2:] != "AA" else "BA"), "signature"),
    (token(GOOD, jwk.RSAKey.generate_key(2048, {"kid": "rsa"})), "signature"),
    (token({**GOOD, "exp": NOW - 60}), "expired"),
    (token({**GOOD, "exp": 0}), "expired"),
    (token({**GOOD, "exp": -1e300}), "expired"),
    (token({**GOOD, "exp": "9999999999"}), "expired"),
    (token({**GOOD, "exp": True}), "expired"),
    (token({**GOOD, "nbf": NOW + 3600}), "not_yet_valid"),
    (token({**GOOD, "iat": NOW + 3600}), "not_yet_valid"),
    (token({**GOOD, "nbf": [1]}), "not_yet_valid"),
    (token({**GOOD, "iss": "https://evil.test"}), "issuer"),
    (token({**GOOD, "iss": ["https://login.test"]}), "issuer"),
    (token({**GOOD, "aud": "other"}), "audience"),
    (token({**GOOD, "aud": []}), "audience"),
    (token({**GOOD, "aud": {"shop": 1}}), "audience"),
    (token({**GOOD, "iss": None}), "missing_claim"),
    (token({**GOOD, "aud": None}), "missing_claim"),
    (token({**GOOD, "exp": None}), "missing_claim"),
    (token({**GOOD, "iat_or_else": None}), "missing_claim"),
    (token({**GOOD, "sub": None}), "missing_claim"),
    (token({**GOOD, "plan": "free"}), "claim"),
    (token({**GOOD, "sub": "a\r\nX-Admin: 1"}), "claim"),
    (token({**GOOD, "email": "a\r\nX-Admin: 1"}), "claim"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), BAD, ids=lambda value: value[:20])
def test_others_are_refused(strict: Guarded, text: str, reason: str) -> None:
    response = strict.refuses(bearer(text), status=401, reason=reason)
    assert response.headers.get("WWW-Authenticate") == 'Bearer error="invalid_token"'
    if len(text) > 40:
        strict.says_nothing_of(text[-40:])


def test_refusals_are_counted_by_reason(strict: Guarded) -> None:
    reasons = [reason for _, reason in BAD]
    before = {reason: strict.counted("jwt", reason) for reason in set(reasons)}
    for text, _ in BAD:
        strict.ask(bearer(text))
    assert {reason: strict.counted("jwt", reason) - before[reason] for reason in before} == {
        reason: reasons.count(reason) for reason in before
    }


def test_nothing_shown(strict: Guarded) -> None:  # RFC 6750, 3.1
    assert strict.refuses(status=401, reason="missing").headers.get("WWW-Authenticate") == "Bearer"
    strict.refuses(("Authorization", "Basic YTpi"), status=401, reason="missing")
    strict.refuses(bearer(token(GOOD)), bearer(token(GOOD)), status=401, reason="malformed")


def test_too_few_scopes(strict: Guarded) -> None:
    for scope in ("", "write", "reads", ["write"], {"read": 1}, None):
        response = strict.ask(bearer(token({**GOOD, "scope": scope})))
        assert response.status == 403
        assert response.headers.get("WWW-Authenticate") == 'Bearer error="insufficient_scope", scope="read"'
    strict.passes(bearer(token({**GOOD, "scope": ["read", "x"]})))


def test_a_remembered_token_still_expires() -> None:
    policy = {"use": "jwt", "algorithms": ["HS256"], "secret": SECRET, "leeway": "0s", "header": "X-Token"}
    with guarded(policy) as rig:
        text = token({"exp": int(time.time()) + 2}, OCT, "HS256")
        rig.passes(("X-Token", text))
        eventually(lambda: rig.ask(("X-Token", text)).status == 401, "it expires", within=10)
        assert rig.logged()["error"] == "expired"


class Login:
    """An issuer whose keys change."""

    def __init__(self) -> None:
        self.keys: list[Key] = [RSA]
        self.fetches = 0
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()

    def answer(self, request: Request) -> bytes:
        assert request.target == "/keys"
        assert request.headers.get("Host") is not None
        self.fetches += 1
        self.gate.wait(5)
        if self.broken:
            return answers.response(b"<html>", "500 Oops", [("Connection", "close")])
        headers = [("Content-Type", "application/json"), ("Connection", "close")]
        return answers.response(key_set(*self.keys).encode(), headers=headers)


def published(url: str, **more: Any) -> dict[str, Any]:
    return {
        "policy": {
            "use": "jwt",
            "algorithms": ["RS256", "ES256"],
            "jwks": {"upstream": "login", "path": "/keys", "cooldown": "1s", **more},
            "issuer": ["https://login.test"],
        },
        "login": {"targets": [url]},
    }


def serve(login: Login, **more: Any) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def running() -> Iterator[Guarded]:
        with Upstream(answers.each(login.answer)) as issuer, Upstream(answers.ok) as upstream:
            from tests.harness import Gateway

            config = published(issuer.url, **more)
            upstreams = {"backend": {"targets": [upstream.url]}, "login": config["login"]}
            routes = [
                {"path": path, "upstream": "backend", "policies": [config["policy"]]}
                for path in ("/", "/other")
            ]
            admin = {"listen": "127.0.0.1:0"}
            with Gateway({"upstreams": upstreams, "routes": routes, "admin": admin}) as gateway:
                yield Guarded(upstream, gateway)

    return running()


def test_keys_are_fetched_once_and_rotate() -> None:
    login = Login()
    with serve(login) as rig:
        rig.passes(bearer(token()))
        rig.passes(bearer(token({"sub": "bob"})), target="/other")
        assert login.fetches == 1
        login.keys = [EC]
        fresh = token(key=EC, alg="ES256")
        eventually(lambda: rig.ask(bearer(fresh)).status == 200, "the new key is known", within=10)
        rig.refuses(bearer(token()), status=401, reason="unknown_key")


def test_made_up_key_ids_do_not_fetch_each_time() -> None:
    login = Login()
    with serve(login, cooldown="1h") as rig:
        rig.passes(bearer(token()))
        for i in range(50):
            rig.refuses(bearer(forged({"alg": "RS256", "kid": f"k{i}"})), status=401, reason="unknown_key")
        assert login.fetches == 1
        rig.passes(bearer(token()))


def test_requests_wait_for_the_first_keys_together() -> None:
    login = Login()
    login.gate.clear()
    with serve(login) as rig:
        statuses: list[int] = []
        asking = [
            threading.Thread(target=lambda: statuses.append(rig.ask(bearer(token())).status))
            for _ in range(5)
        ]
        for thread in asking:
            thread.start()
        eventually(lambda: login.fetches == 1, "the keys are asked for")
        login.gate.set()
        for thread in asking:
            thread.join()
        assert statuses == [200] * 5
        assert login.fetches == 1


def test_without_keys_nobody_is_believed_and_nothing_breaks() -> None:
    login = Login()
    login.broken = True
    with serve(login) as rig:
        response = rig.refuses(bearer(token()), status=503, reason="unavailable")
        assert response.headers.get("Retry-After") == "1"
        assert "status 500" in rig.gateway.wait_line("jwt: keys of login/keys")
        login.broken = False
        eventually(lambda: rig.ask(bearer(token())).status == 200, "the keys come at last", within=10)
        login.broken = True
        login.keys = [EC]
        rig.refuses(bearer(forged({"alg": "RS256", "kid": "new"})), status=401, reason="unknown_key")
        rig.passes(bearer(token()))
