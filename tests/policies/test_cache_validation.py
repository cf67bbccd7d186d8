"""Conditional requests, revalidation, freshening and ranges (RFC 9110 sections 13 and 14, RFC 9111 4.3)."""

from collections.abc import Iterator

import pytest

from tests.harness import Request, answers, eventually
from tests.policies.caching import FRESH, Cached, cached, status_of

CHANGED = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"
EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT"
TAG = ("ETag", '"one"')


@pytest.fixture(scope="module")
def shared() -> Iterator[Cached]:
    with cached(stale_if_error="1h") as rig:
        yield rig


@pytest.fixture
def rig(shared: Cached) -> Cached:
    shared.origin.__init__()  # type: ignore[misc]
    return shared


# The client's own copy


@pytest.mark.parametrize("said", ['"one"', 'W/"one"', '"other", "one"', "*"])
def test_a_client_that_has_it_is_told_so(rig: Cached, said: str) -> None:
    rig.origin.fields = (FRESH, TAG, ("Content-Type", "text/plain"), ("Vary", "Accept"))
    path = f"/has/{said.encode().hex()}"
    rig.misses(path)
    response = rig.hits(path, ("If-None-Match", said))
    assert response.status == 304
    assert response.body == b""
    assert response.headers.get("ETag") == '"one"'
    assert response.headers.get("Cache-Control") == "max-age=60"
    assert response.headers.get("Vary") == "Accept"
    assert not response.headers.has("Content-Type")
    assert not response.headers.has("Content-Length")


@pytest.mark.parametrize("said", ['"other"', "one", 'w/"one"', '""', ""])
def test_one_that_has_another_gets_it(rig: Cached, said: str) -> None:
    rig.origin.fields = (FRESH, TAG)
    path = f"/other/{said.encode().hex()}"
    rig.misses(path)
    assert rig.hits(path, ("If-None-Match", said)).status == 200


@pytest.mark.parametrize(
    ("since", "status"),
    [
        (CHANGED, 304),
        (LATER, 304),
        (EARLIER, 200),
        ("yesterday", 200),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 304),
    ],
)
def test_a_client_asks_by_date(rig: Cached, since: str, status: int) -> None:
    rig.origin.fields = (FRESH, ("Last-Modified", CHANGED))
    path = f"/date/{since.encode().hex()}"
    rig.misses(path)
    assert rig.hits(path, ("If-Modified-Since", since)).status == status


def test_a_tag_counts_before_a_date(rig: Cached) -> None:
    rig.origin.fields = (FRESH, TAG, ("Last-Modified", CHANGED))
    rig.misses("/both")
    assert rig.hits("/both", ("If-None-Match", '"x"'), ("If-Modified-Since", CHANGED)).status == 200


@pytest.mark.parametrize("name", ["If-Match", "If-Unmodified-Since"])
def test_what_is_for_the_origin_to_judge_goes_there(rig: Cached, name: str) -> None:
    rig.misses(f"/judge/{name}")
    assert "fwd=bypass" in status_of(rig.misses(f"/judge/{name}", (name, '"one"')))


def test_a_condition_on_what_is_not_stored_is_the_origins_to_judge(rig: Cached) -> None:
    rig.origin.status = "304 Not Modified"
    rig.origin.body = b""
    assert rig.misses("/unknown", ("If-None-Match", '"one"')).status == 304
    assert rig.last().headers.get("If-None-Match") == '"one"'


# The cache's own copy


def stale(rig: Cached, path: str, *fields: tuple[str, str]) -> bytes:
    """Has the cache keep what it may not use without asking."""
    rig.origin.fields = (("Cache-Control", "max-age=5"), ("Age", "9"), *fields)
    return rig.misses(path).body


def not_modified(*fields: tuple[str, str]) -> bytes:
    return answers.response(b"", "304 Not Modified", fields, length=False)


def test_what_is_stale_is_asked_about_and_made_fresh(rig: Cached) -> None:
    body = stale(rig, "/fresh", TAG, ("Last-Modified", CHANGED), ("X-Kept", "a"), ("X-Changed", "a"))
    rig.origin.say = lambda request: not_modified(FRESH, TAG, ("X-Changed", "b"), ("Content-Type", "x/y"))
    response = rig.misses("/fresh", ("If-None-Match", '"mine"'), ("If-Modified-Since", EARLIER))
    assert rig.last().headers.all("If-None-Match") == ['"one"']
    assert rig.last().headers.all("If-Modified-Since") == [CHANGED]
    assert response.status == 200
    assert response.body == body
    assert status_of(response) == "tetrapylon; fwd=stale; fwd-status=304"
    again = rig.hits("/fresh")
    assert again.body == body
    assert again.headers.all("X-Changed") == ["b"]
    assert again.headers.get("X-Kept") == "a"
    assert again.headers.get("Age") == "0"
    assert not again.headers.has("Content-Type")


def test_a_client_that_has_what_was_made_fresh_is_told_so(rig: Cached) -> None:
    stale(rig, "/fresh-304", TAG)
    rig.origin.say = lambda request: not_modified(FRESH, TAG)
    assert rig.misses("/fresh-304", ("If-None-Match", '"one"')).status == 304
    assert rig.hits("/fresh-304").body == b"1"


def test_a_part_of_what_was_made_fresh(rig: Cached) -> None:
    rig.origin.body = b"0123456789"
    stale(rig, "/fresh-206", TAG)
    rig.origin.say = lambda request: not_modified(FRESH, TAG)
    response = rig.misses("/fresh-206", ("Range", "bytes=2-4"))
    assert (response.status, response.body) == (206, b"234")
    assert not rig.last().headers.has("Range")
    assert rig.hits("/fresh-206").body == b"0123456789"


def test_the_upstreams_connection_is_kept_after_a_304(rig: Cached) -> None:
    stale(rig, "/kept", TAG)
    rig.origin.say = lambda request: not_modified(("Cache-Control", "max-age=0"), TAG)
    before = len(rig.upstream.conversations)
    for _ in range(5):
        assert rig.misses("/kept").body == b"1"
    assert len(rig.upstream.conversations) == before


def test_a_new_answer_takes_the_place_of_the_stale_one(rig: Cached) -> None:
    stale(rig, "/new", TAG)
    rig.origin.fields = (FRESH, ("ETag", '"two"'))
    assert rig.misses("/new").body == b"2"
    assert rig.hits("/new").body == b"2"


def test_one_that_may_not_be_kept_ends_the_stale_one(rig: Cached) -> None:
    stale(rig, "/ends", TAG)
    rig.origin.fields = (("Cache-Control", "no-store"),)
    rig.misses("/ends")
    rig.misses("/ends")
    assert not rig.last().headers.has("If-None-Match")


def test_no_cache_asks_each_time(rig: Cached) -> None:
    rig.origin.fields = (("Cache-Control", "no-cache, max-age=60"), TAG)
    rig.misses("/each")
    rig.origin.say = lambda request: not_modified(("Cache-Control", "no-cache, max-age=60"), TAG)
    for _ in range(3):
        assert rig.misses("/each").body == b"1"
        assert rig.last().headers.get("If-None-Match") == '"one"'


def test_a_client_that_wants_it_anew_has_it_asked_about(rig: Cached) -> None:
    rig.origin.fields = (FRESH, TAG)
    rig.misses("/anew")
    rig.origin.say = lambda request: not_modified(FRESH, TAG)
    assert rig.misses("/anew", ("Cache-Control", "no-cache")).body == b"1"


# Errors of the origin


def test_what_is_stale_stands_in_for_an_error(rig: Cached) -> None:
    body = stale(rig, "/error", TAG)
    for status in ("500 Oops", "502 Bad", "503 Busy", "504 Late"):
        rig.origin.status = status
        response = rig.misses("/error")
        assert (response.status, response.body) == (200, body)
        assert "detail=stale-if-error" in status_of(response)
    rig.origin.status = "404 Not Found"
    assert rig.misses("/error").status == 404


def test_and_for_an_origin_that_is_not_there() -> None:
    with cached(stale_if_error="1h") as rig:
        rig.origin.body = b"x" * 300_000
        stale(rig, "/gone")
        stale(rig, "/must", ("Cache-Control", "must-revalidate"))
        rig.upstream.close()
        with rig.gateway.client() as client:
            for _ in range(3):
                response = client.ask("GET", "/gone")
                assert (response.status, response.body) == (200, rig.origin.body)
            assert client.ask("GET", "/must").status == 502
        eventually(lambda: len(rig.gateway.log) == 6, "all is logged")
        assert [line["status"] for line in rig.gateway.access_log[2:]] == [200, 200, 200, 502]


def test_an_answer_says_itself_how_long_it_may_stand_in() -> None:
    with cached() as rig:
        stale(rig, "/no")
        stale(rig, "/yes", ("Cache-Control", "stale-if-error=60"))
        rig.origin.status = "503 Busy"
        assert rig.misses("/no").status == 503
        assert rig.misses("/yes").status == 200


# Ranges


@pytest.mark.parametrize(
    ("asked", "status", "body", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=8-30", 206, b"89", "bytes 8-9/10"),
        ("BYTES=9-9", 206, b"9", "bytes 9-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=99-100", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=99999999999999999999-", 416, b"", "bytes */10"),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("bytes=3-2", 200, b"0123456789", None),
        ("bytes=a-b", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("items=0-1", 200, b"0123456789", None),
    ],
)
def test_a_part_of_what_is_stored(
    rig: Cached, asked: str, status: int, body: bytes, told: str | None
) -> None:
    rig.origin.body = b"0123456789"
    path = f"/part/{asked.encode().hex()}"
    rig.misses(path)
    response = rig.hits(path, ("Range", asked))
    assert (response.status, response.body) == (status, body)
    assert response.headers.get("Content-Range") == told
    assert response.headers.get("Content-Length") == str(len(body))
    assert rig.hits(path, ("Range", asked), method="HEAD").status == 200


@pytest.mark.parametrize(
    ("condition", "status"),
    [('"one"', 206), ('"two"', 200), ('W/"one"', 200), (CHANGED, 206), (LATER, 200), ("nonsense", 200)],
)
def test_a_part_if_it_is_still_the_same(rig: Cached, condition: str, status: int) -> None:
    rig.origin.body = b"0123456789"
    rig.origin.fields = (FRESH, TAG, ("Last-Modified", CHANGED))
    path = f"/if-range/{condition.encode().hex()}"
    rig.misses(path)
    assert rig.hits(path, ("Range", "bytes=0-3"), ("If-Range", condition)).status == status


def test_a_part_that_the_origin_gives_is_not_kept(rig: Cached) -> None:
    def part(request: Request) -> bytes:
        fields = (FRESH, ("Content-Range", "bytes 0-3/10"))
        return answers.response(b"0123", "206 Partial Content", fields)

    rig.origin.say = part
    assert rig.misses("/their-part", ("Range", "bytes=0-3")).status == 206
    rig.origin.say = rig.origin.usual
    assert rig.misses("/their-part").status == 200


def test_a_large_body_goes_out_whole_to_a_client_that_reads_slowly(rig: Cached) -> None:
    rig.origin.body = bytes(range(256)) * 4000
    rig.misses("/large")
    with rig.gateway.client(rcvbuf=4096, record=False) as client:
        for _ in range(3):
            assert client.ask("GET", "/large").body == rig.origin.body
    assert rig.hits("/large", ("Range", "bytes=1000-600000")).body == rig.origin.body[1000:600001]
