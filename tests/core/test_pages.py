"""The config's own bodies for errors: also where a policy refuses, and on whatever Accept says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.conftest import Bench
from tetrapylon._core.http.pages import Page, Pages, parse_accept
from tetrapylon._core.http.respond import Refusal
from tetrapylon._core.memory import MemoryDestination, MemoryExchange, MemoryPolicy

PAGES = Pages([Page("text/html", "<b>{status} {reason}: {detail}</b>", statuses=[429])])
NO = Refusal(429, "rate_limit", "Too Many Requests", "Slow <down>.", headers=[(b"Retry-After", b"1")])


@pytest.mark.parametrize(
    ("accept", "kind", "body"),
    [
        (b"text/html", b"text/html; charset=utf-8", b"<b>429 rate_limit: Slow &lt;down&gt;.</b>"),
        (b"application/json", b"application/problem+json", b'"reason":"rate_limit"'),
    ],
)
def test_a_policys_refusal_has_them_too(bench: Bench, accept: bytes, kind: bytes, body: bytes) -> None:
    pipeline = bench.pipeline(MemoryDestination(), policies=(MemoryPolicy("answer", answer=NO),), pages=PAGES)
    x = MemoryExchange(pipeline, b"GET", b"/", [(b"Accept", accept)])
    assert (x.status, x.finishes) == (429, 1)
    assert (b"Content-Type", kind) in x.headers
    assert body in x.received
    assert (b"Retry-After", b"1") in x.headers
    assert (b"Vary", b"Accept") in x.headers
    assert dict(x.headers)[b"Content-Length"] == str(len(x.received)).encode()


def test_other_statuses_are_left_alone(bench: Bench) -> None:
    no = Refusal(403, "not_allowed", "Forbidden", "No.")
    pipeline = bench.pipeline(MemoryDestination(), policies=(MemoryPolicy("answer", answer=no),), pages=PAGES)
    x = MemoryExchange(pipeline, b"GET", b"/", [(b"Accept", b"text/html")])
    assert (b"Content-Type", b"application/problem+json") in x.headers
    assert not any(name == b"Vary" for name, _ in x.headers)


@given(st.binary(max_size=300))
def test_any_accept_field_is_read_without_failing(accept: bytes) -> None:
    for kind, subtype, quality in parse_accept(accept):
        assert isinstance(kind, bytes)
        assert isinstance(subtype, bytes)
        assert 0 <= quality <= 1


def test_qualities() -> None:
    assert parse_accept(b"a/b;q=0.5, c/*;level=1;Q=0 , */*") == [
        (b"a", b"b", 0.5),
        (b"c", b"*", 0.0),
        (b"*", b"*", 1.0),
    ]


def test_nan_is_no_quality() -> None:
    assert parse_accept(b"a/b;q=nan") == [(b"a", b"b", 0.0)]
