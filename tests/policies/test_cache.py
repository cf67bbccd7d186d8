"""What may be kept, for whom and for how long: RFC 9111 with a real origin and a real client."""

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.harness import LAST_CHUNK, answers, assert_problem, chunk, eventually, request, through
from tests.policies.caching import FRESH, Cached, cached, order, status_of
from tests.policies.rig import metrics, sha256
from tetrapylon import Request, Response
from tetrapylon.testing import running


@pytest.fixture(scope="module")
def shared() -> Iterator[Cached]:
    with cached() as rig:
        yield rig


@pytest.fixture
def rig(shared: Cached) -> Cached:
    """A fresh origin; tests ask for paths of their own."""
    shared.origin.__init__()  # type: ignore[misc]
    return shared


def ago(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) - timedelta(seconds=seconds), usegmt=True)


def test_an_answer_is_given_again_with_its_age(rig: Cached) -> None:
    first = rig.misses("/again")
    assert status_of(first) == "tetrapylon; fwd=uri-miss; stored"
    assert not first.headers.has("Age")
    second = rig.hits("/again")
    assert second.body == first.body
    assert second.status == 200
    assert second.headers.get("Age") in ("0", "1")
    assert second.headers.get("Date") is not None
    assert status_of(second).startswith("tetrapylon; hit; ttl=")
    assert second.headers.get("Content-Length") == str(len(first.body))


def test_a_query_is_another_answer(rig: Cached) -> None:
    assert rig.misses("/query?a=1").body != rig.misses("/query?a=2").body
    rig.hits("/query?a=1")


def test_a_host_is_another_answer(rig: Cached) -> None:
    with rig.gateway.client() as client:
        bodies = [
            client.send(request("GET", "/host", host=host)).response().body
            for host in ("one.example", "two.example", "ONE.example")
        ]
    assert bodies == [b"1", b"2", b"1"]


Dated = tuple[tuple[str, str | int], ...]
"""Fields, a number standing for the time so many seconds ago: a test is read long before it runs."""


def stamped(fields: Dated) -> tuple[tuple[str, str], ...]:
    return tuple((name, ago(value) if isinstance(value, int) else value) for name, value in fields)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (("Cache-Control", "no-store"),),
        (("Cache-Control", "private, max-age=60"),),
        (("Cache-Control", 'private="X-Name", max-age=60'),),
        (("Cache-Control", "max-age=60"), ("Cache-Control", "No-Store")),
        (("Cache-Control", "max-age=0"),),
        (("Cache-Control", "s-maxage=0, max-age=60"),),
        (("Cache-Control", "max-age=soon"),),
        (("Expires", "0"),),
        (("Expires", 60),),
        (FRESH, ("Vary", "*")),
        (FRESH, ("Vary", "Accept, *")),
        (FRESH, ("Set-Cookie", "session=1")),
        (FRESH, ("Age", "61")),
        (FRESH, ("Date", 61)),
        (("Last-Modified", 100000),),
    ],
    ids=str,
)
def test_what_is_not_kept(rig: Cached, fields: Dated) -> None:
    rig.origin.fields = stamped(fields)
    path = f"/not-kept/{abs(hash(fields))}"
    rig.misses(path)
    rig.misses(path)


@pytest.mark.parametrize(
    "fields",
    [
        (("Cache-Control", "max-age=60"),),
        (("Cache-Control", 'MAX-AGE="60"'),),
        (("Cache-Control", "max-age=0, s-maxage=60"),),
        (("Cache-Control", "public, max-age=99999999999999999999"),),
        (("Expires", -60),),
        (("Expires", 60), ("Cache-Control", "max-age=60")),
        (FRESH, ("Age", "10"), ("Date", 20)),
        (FRESH, ("X-Empty", "")),
    ],
    ids=str,
)
def test_what_is_kept(rig: Cached, fields: Dated) -> None:
    rig.origin.fields = stamped(fields)
    path = f"/kept/{abs(hash(fields))}"
    rig.misses(path)
    rig.hits(path)


def test_age_counts_on_from_what_the_origin_says(rig: Cached) -> None:
    rig.origin.fields = (FRESH, ("Age", "10"), ("Date", ago(20)))
    rig.misses("/age")
    assert rig.hits("/age").headers.get("Age") in ("20", "21")


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "403 No", "206 Partial Content", "418 Teapot"])
def test_statuses_that_are_not_kept(rig: Cached, status: str) -> None:
    rig.origin.status = status
    path = "/status/" + status[:3]
    rig.misses(path)
    rig.misses(path)


@pytest.mark.parametrize("status", ["404 Not Found", "301 Moved", "410 Gone", "204 No Content", "203 Other"])
def test_statuses_that_are_kept(rig: Cached, status: str) -> None:
    rig.origin.status = status
    rig.origin.body = b""
    path = "/status/" + status[:3]
    rig.misses(path)
    assert f"{rig.hits(path).status}" == status[:3]


def test_head_is_answered_from_a_get_and_is_not_kept(rig: Cached) -> None:
    rig.misses("/head", method="HEAD")
    rig.misses("/head")
    response = rig.hits("/head", method="HEAD")
    assert response.headers.get("Content-Length") == "1"


def test_fields_of_one_hop_or_one_client_are_not_kept(rig: Cached) -> None:
    rig.origin.fields = (
        FRESH,
        ("Connection", "X-Hop"),
        ("X-Hop", "1"),
        ("Proxy-Authenticate", "Basic"),
        ("X-Stays", "a"),
        ("X-Stays", "b"),
    )
    rig.misses("/hop")
    response = rig.hits("/hop")
    assert not response.headers.has("X-Hop")
    assert not response.headers.has("Proxy-Authenticate")
    assert response.headers.all("X-Stays") == ["a", "b"]


# What the client says


@pytest.mark.parametrize("said", ["no-cache", "max-age=0", "min-fresh=61", "max-age=nonsense"])
def test_a_client_that_wants_it_anew_gets_it_anew(rig: Cached, said: str) -> None:
    rig.misses(f"/anew/{said}")
    rig.misses(f"/anew/{said}", ("Cache-Control", said))


@pytest.mark.parametrize(
    "said", ["max-age=30", "min-fresh=30", "max-stale", "only-if-cached", "no-transform"]
)
def test_a_client_that_is_content_is_answered_at_once(rig: Cached, said: str) -> None:
    rig.misses(f"/content/{said}")
    rig.hits(f"/content/{said}", ("Cache-Control", said))


def test_a_request_with_no_store_leaves_nothing(rig: Cached) -> None:
    rig.misses("/no-store", ("Cache-Control", "no-store"))
    rig.misses("/no-store")


def test_only_if_cached_is_never_sent_on(rig: Cached) -> None:
    before = rig.origin.count
    assert_problem(rig.ask("/never", ("Cache-Control", "only-if-cached")), 504)
    assert rig.origin.count == before


def test_max_stale_takes_what_is_over_but_not_where_the_origin_forbids_it(rig: Cached) -> None:
    rig.origin.fields = (("Cache-Control", "max-age=5"), ("Age", "30"), ("ETag", '"1"'))
    rig.misses("/max-stale")
    told = status_of(rig.hits("/max-stale", ("Cache-Control", "max-stale=60")))
    assert told.rpartition("ttl=")[2] in ("-25", "-26")  # a second may have begun
    rig.misses("/max-stale", ("Cache-Control", "max-stale=10"))
    rig.origin.fields = (("Cache-Control", "max-age=5, must-revalidate"), ("Age", "30"), ("ETag", '"1"'))
    rig.misses("/must")
    rig.misses("/must", ("Cache-Control", "max-stale"))


def test_clients_are_not_obeyed_where_the_config_says_so() -> None:
    with cached(obey_clients=False) as rig:
        rig.misses()
        for said in ("no-cache", "max-age=0", "no-store"):
            rig.hits("/", ("Cache-Control", said))


# Who asks


def test_what_somebody_asked_for_is_for_others_only_where_the_origin_says_so(rig: Cached) -> None:
    who = ("Authorization", "Bearer x")
    rig.misses("/who", who)
    rig.misses("/who", who)
    rig.misses("/who")
    rig.misses("/who", who)  # what is anybody's may not be theirs
    for said in ("public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"):
        rig.origin.fields = (("Cache-Control", said),)
        rig.misses(f"/open/{said[0]}{len(said)}", who)
        rig.hits(f"/open/{said[0]}{len(said)}")
        rig.hits(f"/open/{said[0]}{len(said)}", ("Authorization", "Bearer y"))


def test_a_key_that_is_stripped_still_says_who_asks() -> None:
    key = {"use": "api_key", "header": "X-API-Key", "strip": True}
    consumers = [{"name": name, "api_keys": [sha256(name)]} for name in ("ann", "bob")]
    with cached(before=(key,), config={"consumers": consumers}) as rig:
        rig.misses("/", ("X-API-Key", "ann"))
        assert rig.misses("/", ("X-API-Key", "bob")).body == b"2"
    with cached(before=(key,), config={"consumers": consumers}, key=["consumer"]) as rig:
        assert rig.misses("/", ("X-API-Key", "ann")).body == b"1"
        assert rig.misses("/", ("X-API-Key", "bob")).body == b"2"
        assert rig.hits("/", ("X-API-Key", "ann")).body == b"1"


# Vary


def test_vary_tells_answers_apart_by_what_the_request_says(rig: Cached) -> None:
    rig.origin.fields = (FRESH, ("Vary", "Accept-Language, X-Kind"))
    one = rig.misses("/vary", ("Accept-Language", "de"), ("X-Kind", "a"))
    rig.misses("/vary", ("Accept-Language", "en"), ("X-Kind", "a"))
    rig.misses("/vary", ("Accept-Language", "de"))
    assert rig.hits("/vary", ("X-Kind", " a"), ("accept-language", "de")).body == one.body
    rig.hits("/vary", ("Accept-Language", "de"))


def test_the_same_said_in_other_words_is_the_same(rig: Cached) -> None:
    rig.origin.fields = (FRESH, ("Vary", "Accept-Encoding"))
    rig.misses("/codings", ("Accept-Encoding", "gzip, br;q=0.5"))
    rig.hits("/codings", ("Accept-Encoding", "BR; q=0.5,GZip"))
    rig.hits("/codings", ("Accept-Encoding", "br;q=0.5"), ("Accept-Encoding", "gzip"))
    rig.misses("/codings", ("Accept-Encoding", "gzip"))
    rig.misses("/codings")
    rig.origin.fields = (FRESH, ("Vary", "Accept"))
    rig.misses("/lists", ("Accept", "text/html,  text/plain"))
    rig.hits("/lists", ("Accept", "text/html"), ("Accept", "text/plain"))
    rig.misses("/lists", ("Accept", "text/plain, text/html"))


def test_what_a_policy_behind_the_cache_says_to_the_origin_keeps_it_from_being_kept() -> None:
    sets = {"use": "headers", "request": {"set": {"X-Plan": "gold"}}}
    with cached(sets) as rig:
        rig.origin.fields = (FRESH, ("Vary", "X-Plan"))
        assert "stored" not in status_of(rig.misses())
        rig.misses()


def test_variants_of_one_uri_are_bounded() -> None:
    with cached() as rig:
        rig.origin.fields = (FRESH, ("Vary", "X-Kind"))
        for number in range(70):
            rig.misses("/", ("X-Kind", str(number)))
        rig.hits("/", ("X-Kind", "69"))
        rig.misses("/", ("X-Kind", "0"))


# What could poison it


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X_Forwarded_Prefix",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Host",
        "X-HTTP-Method-Override",
        "X-Forwarded-Scheme",
    ],
)
def test_what_applications_make_links_of_is_a_part_of_the_key(rig: Cached, name: str) -> None:
    rig.misses(f"/poison/{name}", (name, "evil"))
    honest = rig.misses(f"/poison/{name}")
    assert rig.hits(f"/poison/{name}").body == honest.body
    rig.hits(f"/poison/{name}", (name, "evil"))


def test_a_trusted_proxys_word_on_the_host_is_a_part_of_the_key() -> None:
    with cached(config={"server": {"listen": ["127.0.0.1:0"], "trusted_proxies": ["127.0.0.1"]}}) as rig:
        rig.misses("/", ("X-Forwarded-Host", "a.example"))
        rig.misses("/", ("X-Forwarded-Host", "b.example"))
        rig.hits("/", ("X-Forwarded-Host", "a.example"), ("X-Forwarded-For", "192.0.2.1"))
        rig.misses("/", ("Forwarded", "for=192.0.2.1;host=a.example"))
        rig.hits("/", ("Forwarded", "for=192.0.2.2;host=a.example"))
        rig.misses("/", ("Forwarded", "for=192.0.2.2;host=b.example"))


def test_each_line_of_a_field_in_the_key_counts() -> None:
    with cached(key=["header:X-Tenant"]) as rig:
        rig.misses("/", ("X-Tenant", "a"))
        rig.misses("/", ("X-Tenant", "a"), ("X-Tenant", "b"))
        rig.hits("/", ("X-Tenant", "a"))


def test_a_request_with_a_body_passes_by(rig: Cached) -> None:
    rig.misses("/body")
    rig.misses("/body", body=b"x")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nshort",
        answers.chunked_head(headers=[FRESH]) + chunk(b"short"),
        b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n\r\nshort",
    ],
    ids=["by-length", "chunked", "until-close"],
)
def test_a_body_that_is_cut_short_is_not_kept(said: bytes) -> None:
    whole = answers.raw(answers.response(b"whole", headers=[FRESH]))
    with through([answers.once(said), whole], policies=[{"use": "cache"}]) as rig:
        rig.client.send(request("GET", "/", [("Connection", "close")])).until_eof()
        with rig.gateway.client() as client:
            assert client.ask("GET", "/").body == b"whole"


def test_a_chunked_body_is_kept_whole(rig: Cached) -> None:
    said = answers.chunked_head(headers=[FRESH]) + chunk(b"one") + chunk(b"two") + LAST_CHUNK
    rig.origin.say = lambda request: said
    assert rig.misses("/chunked").body == b"onetwo"
    response = rig.hits("/chunked")
    assert response.body == b"onetwo"
    assert response.headers.get("Content-Length") == "6"
    assert not response.headers.has("Transfer-Encoding")


def test_what_is_too_large_is_not_kept_and_passes_whole() -> None:
    with cached(max_object="10KiB") as rig:
        rig.origin.body = b"x" * 10241
        assert rig.misses("/length").body == rig.origin.body
        rig.misses("/length")
        said = answers.chunked_head(headers=[FRESH]) + chunk(b"y" * 8000) + chunk(b"z" * 8000) + LAST_CHUNK
        rig.origin.say = lambda request: said
        assert len(rig.misses("/chunks").body) == 16000
        rig.misses("/chunks")


class Personal:
    def on_response(self, request: Request, response: Response) -> None:
        assert isinstance(response.body, bytes)
        name = request.headers.get("X-Name", "")
        if name:
            response.body = response.body + name.encode()


def test_what_is_kept_is_the_upstreams_body_and_not_what_a_policy_makes_of_it() -> None:
    count = iter("123456789")

    def up(request: Request) -> Response:
        return Response(next(count), headers={"Cache-Control": "max-age=60"})

    policies = [{"use": f"{__name__}:Personal"}, {"use": "cache"}]
    route = {"path": "/", "upstream": "up", "policies": policies}
    config = {"upstreams": {"up": {"targets": ["http://up.invalid"]}}, "routes": [route]}
    with running(config, up=up) as served:
        assert served.get("/", headers={"X-Name": "ann"}).body == b"1ann"
        assert served.get("/").body == b"1"
        assert served.get("/", headers={"X-Name": "bob"}).body == b"1bob"


# What ends it


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_request_that_changes_something_ends_what_is_kept_of_its_uri(rig: Cached, method: str) -> None:
    path = f"/change/{method}"
    rig.misses(path)
    rig.misses(path + "/other")
    assert "fwd=method" in status_of(rig.misses(path, method=method, body=b"x"))
    rig.misses(path)
    rig.hits(path + "/other")


def test_one_that_fails_changes_nothing(rig: Cached) -> None:
    rig.misses("/fails")
    rig.origin.status = "409 Conflict"
    rig.misses("/fails", method="PUT", body=b"x")
    rig.hits("/fails")


def test_a_change_reaches_all_workers() -> None:
    server = {"listen": ["127.0.0.1:0"], "workers": 2}
    with cached(config={"server": server}) as rig:
        eventually(lambda: bool(rig.ask()) and rig.origin.count == 2, "both workers have it")
        rig.ask(method="DELETE")
        bodies = {rig.ask().body for _ in range(30)}
        assert bodies <= {b"4", b"5"}


# How much


def test_the_store_is_bounded_and_keeps_what_is_asked_for() -> None:
    with cached(size="100KiB", max_object="20KiB") as rig:
        rig.origin.body = b"x" * 10000
        rig.misses("/hot")
        rig.hits("/hot")
        for number in range(40):
            rig.misses(f"/{number}")
            rig.hits("/hot")
        rig.misses("/1")
        text = metrics(rig.gateway)
        stored = float(
            next(line for line in text.splitlines() if line.startswith("tetrapylon_cache_bytes{")).rpartition(
                " "
            )[2]
        )
        assert 0 < stored <= 102400
        assert 'tetrapylon_cache_evictions_total{cache="default"} ' in text


def test_metrics_tell_what_was_done() -> None:
    with cached() as rig:
        rig.misses()
        rig.hits()
        rig.hits()
        rig.ask(method="POST")
        text = metrics(rig.gateway)
        for result, count in {"hit": 2, "miss": 1, "bypass": 1}.items():
            assert f'tetrapylon_cache_requests_total{{cache="default",result="{result}"}} {count}' in text


def test_freshness_may_be_guessed_where_the_config_says_so() -> None:
    with cached(heuristic="10%") as rig:
        rig.origin.fields = (("Last-Modified", ago(1000)),)
        rig.misses()
        assert "ttl=100" in status_of(rig.hits()) or "ttl=99" in status_of(rig.hits())
    with cached(ttl="10s") as rig:
        rig.origin.fields = ()
        rig.misses()
        rig.hits()
        rig.origin.status = "302 Found"
        rig.misses("/not-by-default")
        rig.misses("/not-by-default")


def test_what_is_kept_outlives_a_reload() -> None:
    with cached() as rig:
        rig.misses()
        order(rig.gateway, "/reload")
        assert rig.hits().body == b"1"


@pytest.mark.parametrize("outside", [False, True], ids=["behind", "before"])
def test_with_compress_each_client_gets_what_it_can_read(outside: bool) -> None:
    compress = {"use": "compress", "min_size": 1, "types": ["application/json"]}
    where: dict[str, Any] = {"before": (compress,)} if outside else {}
    with cached(*(() if outside else (compress,)), **where) as rig:
        rig.origin.fields = (FRESH, ("Content-Type", "application/json"), ("ETag", '"one"'))
        rig.origin.body = b'{"a": 1}' * 100
        for _ in range(3):
            zipped = rig.ask("/", ("Accept-Encoding", "gzip"))
            assert gzip.decompress(zipped.body) == rig.origin.body
            assert zipped.headers.get("Content-Encoding") == "gzip"
            plain = rig.ask("/")
            assert plain.body == rig.origin.body
            assert not plain.headers.has("Content-Encoding")
        assert rig.origin.count == (1 if outside else 2)
        assert rig.ask("/", ("Accept-Encoding", "gzip"), ("If-None-Match", 'W/"one"')).status == 304
