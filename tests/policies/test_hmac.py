"""`hmac`: requests signed by RFC 9421, with somebody else's library at the client's end."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from hypothesis import given
from hypothesis import strategies as st

from tests.policies.rig import Guarded, guarded
from tetrapylon._core.policies.hmac import read_inputs, read_signatures

SECRETS = {"mobile-1": b"0123456789abcdef0123456789abcdef", "web-1": b"fedcba9876543210fedcba9876543210"}
CONSUMERS = [
    {"name": "mobile", "hmac_keys": {"mobile-1": SECRETS["mobile-1"].decode()}},
    {"name": "web", "hmac_keys": {"web-1": SECRETS["web-1"].decode()}},
]
COVERED = ("@method", "@authority", "@path", "@query")
Fields = list[tuple[str, str]]


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, **secrets: bytes) -> None:
        self.secrets = {**SECRETS, **secrets}

    def resolve_private_key(self, key_id: str) -> bytes:
        return self.secrets[key_id]


class Message(NamedTuple):
    """What the library signs."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def signed(
    target: str = "/",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    key: str = "mobile-1",
    covers: tuple[str, ...] = COVERED,
    algorithm: Any = algorithms.HMAC_SHA256,
    keys: Keys | None = None,
    **options: Any,
) -> Fields:
    """The header fields with which the library signs such a request."""
    url = "http://gateway.test" + target
    request = Message(method, url, dict(headers or {}), body)
    signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=keys or Keys())
    if headers and "Content-Digest" in headers:
        options["use_existing_digest"] = True
    signer.sign(request, key_id=key, covered_component_ids=covers, **options)
    names = ("signature", "signature-input", *(name.lower() for name in headers or {}))
    return [(name, value) for name, value in request.headers.items() if name.lower() in names]


@pytest.fixture(scope="module")
def signing() -> Iterator[Guarded]:
    with guarded({"use": "hmac", "window": "1m", "leeway": "2s"}, consumers=CONSUMERS) as rig:
        yield rig


@pytest.mark.parametrize("key", list(SECRETS))
@pytest.mark.parametrize("target", ["/", "/a/b", "/a%20b?x=1&y=%26", "/?"])
def test_a_signature_makes_its_consumer_known(signing: Guarded, key: str, target: str) -> None:
    seen = signing.passes(*signed(target, key=key), target=target)
    assert seen.headers.all("X-Consumer") == [key.removesuffix("-1")]


@pytest.mark.parametrize(
    "covers",
    [
        ("@method", "@authority", "@request-target"),
        ("@method", "@target-uri"),
        (*COVERED, "@scheme", "x-date"),
    ],
)
def test_other_components(signing: Guarded, covers: tuple[str, ...]) -> None:
    fields = signed("/a?b=1", covers=covers, headers={"X-Date": "today "})
    signing.passes(*fields, target="/a?b=1")


def test_a_signed_body(signing: Guarded) -> None:
    body = b'{"amount": 3}'
    fields = signed(
        method="POST",
        body=body,
        headers={"Content-Digest": digest(body)},
        covers=(*COVERED, "content-digest"),
    )
    assert signing.passes(*fields, method="POST", body=body).body == body
    signing.refuses(*fields, method="POST", body=b'{"amount": 9}', status=401, reason="digest")


@pytest.mark.parametrize(
    ("change", "target", "reason"),
    [
        ({"target": "/other"}, "/", "signature"),
        ({"target": "/?a=1"}, "/?a=2", "signature"),
        ({"method": "DELETE"}, "/", "signature"),
        ({"headers": {"X-Date": "today"}, "covers": (*COVERED, "x-date")}, "/", "signature"),
        ({"keys": Keys(**{"mobile-1": b"another secret of the same size!"})}, "/", "signature"),
        ({"key": "who", "keys": Keys(who=b"0123456789abcdef")}, "/", "unknown_key"),
        ({"covers": ("@method", "@path", "@query")}, "/", "coverage"),
        ({"covers": ("@authority",)}, "/", "coverage"),
        ({"created": timedelta(minutes=-5)}, "/", "expired"),
        ({"created": timedelta(minutes=5)}, "/", "not_yet_valid"),
        ({"expires": timedelta(seconds=-30)}, "/", "expired"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_was_changed_or_is_not_enough(
    signing: Guarded, change: dict[str, Any], target: str, reason: str
) -> None:
    now = datetime.now(UTC)
    given: dict[str, Any] = {k: now + v if isinstance(v, timedelta) else v for k, v in change.items()}
    fields = signed(**{"target": "/", **given})
    if "headers" in change:
        fields = [(name, "tomorrow" if name == "X-Date" else value) for name, value in fields]
    response = signing.refuses(*fields, target=target, status=401, reason=reason)
    assert response.headers.get("WWW-Authenticate") == "Signature"
    asked = 'sig=("@method" "@authority" "@path" "@query");created;keyid;alg="hmac-sha256"'
    assert response.headers.get("Accept-Signature") == asked


def by_hand(told: str) -> Fields:
    """A signature of a `Content-Digest` that the library refuses to sign."""
    components = '("@method" "@authority" "@path" "@query" "content-digest")'
    parameters = f'{components};created={int(time.time())};keyid="mobile-1"'
    said = {
        "@method": "POST",
        "@authority": "gateway.test",
        "@path": "/",
        "@query": "?",
        "content-digest": told,
    }
    lines = [f'"{name}": {value}' for name, value in said.items()]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    signature = base64.b64encode(hmac.digest(SECRETS["mobile-1"], base.encode(), hashlib.sha256)).decode()
    return [
        ("Content-Digest", told),
        ("Signature-Input", f"s={parameters}"),
        ("Signature", f"s=:{signature}:"),
    ]


def test_a_body_that_is_not_signed(signing: Guarded) -> None:
    signing.refuses(*signed(method="POST"), method="POST", body=b"x", status=401, reason="coverage")
    told = digest(b"x")
    signing.passes(*by_hand(told), method="POST", body=b"x")
    for wrong in (
        "",
        "sha-256=:AAAA:",
        "md5=:AAAA:",
        told.replace("256", "1"),
        told + ", sha-512=:AAAA:",
        "sha-256",
    ):
        signing.refuses(*by_hand(wrong), method="POST", body=b"x", status=401, reason="digest")


def good() -> dict[str, str]:
    return dict(signed())


@pytest.mark.parametrize(
    "fields",
    [
        [("Signature", "sig1=:AAAA:")],
        [("Signature-Input", 'sig1=("@method");created=1;keyid="mobile-1"')],
        [("Signature", ""), ("Signature-Input", "")],
        [("Signature", "sig1=:!:"), ("Signature-Input", 'sig1=();keyid="mobile-1"')],
        [("Signature", "sig1=:AAA:"), ("Signature-Input", 'sig1=();keyid="mobile-1"')],
        [("Signature", "sig1=:AAAA:"), ("Signature-Input", 'sig1=("@method";sf);keyid="mobile-1"')],
        [("Signature", "sig1=:AAAA:"), ("Signature-Input", 'sig1=("@method" ;keyid="mobile-1"')],
        [("Signature", "sig1=:AAAA:"), ("Signature-Input", 'sig1=("a" "a");keyid="mobile-1"')],
        [("Signature", "sig2=:AAAA:"), ("Signature-Input", 'sig1=("a");keyid="mobile-1"')],
        [("Signature", "sig1=:AAAA:"), ("Signature-Input", "sig1=" + "(" * 4000)],
        [("Signature", "sig1=:AAAA:"), ("Signature-Input", 'sig1=("' + "a" * 9000 + '")')],
        [("Signature", "sig1=:AAAA:"), ("Signature-Input", "sig1=(" + '"a" ' * 2000 + ")")],
        [("Signature", "sig1=:AAAA:, sig1=:AAAA:"), ("Signature-Input", 'sig1=("a");keyid="mobile-1"')],
    ],
    ids=str,
)
def test_rubbish(signing: Guarded, fields: Fields) -> None:
    signing.refuses(*fields, status=401, reason="malformed")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('alg="hmac-sha256"', 'alg="rsa-pss-sha512"', "algorithm"),
        ('keyid="mobile-1"', "keyid=7", "unknown_key"),
        ('keyid="mobile-1"', 'keyid="web-1"', "signature"),
        ("@query", "@query-param", "coverage"),
        ("@query", "@nonsense", "coverage"),
        ("created=", "expires=9999999999;created=", "signature"),
    ],
)
def test_parameters_of_its_own(signing: Guarded, old: str, new: str, reason: str) -> None:
    fields = good()
    assert old in fields["Signature-Input"]
    fields["Signature-Input"] = fields["Signature-Input"].replace(old, new)
    signing.refuses(*fields.items(), status=401, reason=reason)


def test_nothing_shown_and_nothing_logged(signing: Guarded) -> None:
    before = signing.counted("hmac", "missing")
    signing.refuses(status=401, reason="missing")
    assert signing.counted("hmac", "missing") == before + 1
    fields = good()
    signing.passes(*fields.items())
    signing.says_nothing_of(fields["Signature"], *(secret.decode() for secret in SECRETS.values()))


def test_a_nonce_is_taken_once() -> None:
    with guarded({"use": "hmac", "nonce": True}, consumers=CONSUMERS) as rig:
        fields = signed(nonce="n-1")
        rig.passes(*fields)
        rig.refuses(*fields, status=401, reason="replayed")
        rig.passes(*signed(nonce="n-1", key="web-1"))
        rig.passes(*signed(nonce="n-2"))
        rig.refuses(*signed(), status=401, reason="nonce")
        broken = [(k, v.replace("n-3", "n-4")) for k, v in signed(nonce="n-3")]
        rig.refuses(*broken, status=401, reason="signature")
        rig.passes(*signed(nonce="n-4"))


def test_no_worker_takes_a_nonce_that_another_has_taken() -> None:
    workers = {"server": {"listen": ["127.0.0.1:0"], "workers": 3}}
    with guarded({"use": "hmac", "nonce": True}, consumers=CONSUMERS, **workers) as rig:
        for number in range(10):
            fields = signed(nonce=f"n-{number}")
            assert [rig.ask(*fields).status for _ in range(8)] == [200] + [401] * 7
        assert rig.counted("hmac", "replayed") == 70


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8)

PLAIN = TEXT.filter(lambda text: '"' not in text and "\\" not in text)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(
    st.dictionaries(
        st.from_regex(r"[a-z*][a-z0-9_.*-]{0,5}", fullmatch=True),
        st.tuples(
            st.lists(TEXT.filter(lambda t: '"' not in t and "\\" not in t), max_size=4),
            TEXT,
            st.integers(0, 10**14),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_structured_fields_read_as_they_were_written(
    said: dict[str, tuple[list[str], str, int]],
) -> None:  # RFC 8941
    inner = {
        label: f"({' '.join(map(quoted, names))});created={created};keyid={quoted(key)}"
        for label, (names, key, created) in said.items()
    }
    text = ", ".join(f"{label}={value}" for label, value in inner.items())
    expected = [
        (
            label.encode(),
            inner[label].encode(),
            [n.encode() for n in names],
            {b"created": created, b"keyid": key.encode()},
        )
        for label, (names, key, created) in said.items()
    ]
    assert read_inputs(text.encode()) == expected


@given(st.binary(max_size=60) | st.from_regex(rb'[a-z=("@);:, \\]{0,40}', fullmatch=True))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    for read in (read_inputs, read_signatures):
        found = read(text)
        assert found is None or len(found) > 0


def test_reading_takes_time_in_proportion() -> None:
    for text in (
        b"a=(" + b'"x" ' * 1900,
        b'a=("x")' + b";b" * 3900,
        b'a=("x");b="' + b"\\" * 8000,
        b"a=:" + b"A" * 8000,
    ):
        began = time.perf_counter()
        read_inputs(text)
        read_signatures(text)
        assert time.perf_counter() - began < 1.0
