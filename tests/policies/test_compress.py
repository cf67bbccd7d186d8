"""`compress` and `decompress`: bodies in another content coding, as they come."""

import gzip
import threading
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness import LAST_CHUNK, Response, answers, assert_problem, chunk, request
from tests.policies.rigs import behind, problems
from tetrapylon.messages import codings
from tetrapylon.messages.codings import Broken, Decoder, Expanding

brotli: Any = pytest.importorskip("brotli")
zstd: Any = pytest.importorskip(codings.ZSTD_MODULE)
TEXT = b"The quick brown fox jumps over the lazy dog. " * 100
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
DECODE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
}
ALL = {"use": "compress", "codings": ["zstd", "br", "gzip"]}
JSON = answers.response(b'{"text": "%s"}' % TEXT, headers=[("Content-Type", "application/json")])
Fields = list[tuple[str, str]]


def answer(
    body: bytes = TEXT, status: str = "200 OK", kind: str = "text/html", *headers: tuple[str, str]
) -> bytes:
    return answers.response(body, status, [("Content-Type", kind), *headers])


def compressed(said: bytes, accept: str | None = "gzip", *fields: tuple[str, str], method: str = "GET",
               **settings: Any) -> Response:  # fmt: skip
    headers = [*fields] if accept is None else [("Accept-Encoding", accept), *fields]
    with behind({**ALL, **settings}, script=answers.raw(said)) as (client, _, _gateway):
        return client.ask(method, "/", headers)


class TestCompress:
    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
    @pytest.mark.parametrize("effort", ["fast", "small"])
    def test_each_coding(self, coding: str, effort: str) -> None:
        got = compressed(answer(), coding, effort=effort)
        assert got.headers.get("Content-Encoding") == coding
        assert not got.headers.has("Content-Length")
        assert got.headers.all("Vary") == ["Accept-Encoding"]
        assert len(got.body) < len(TEXT) / 10
        assert DECODE[coding](got.body) == TEXT

    @pytest.mark.parametrize(
        "other",
        [
            {"use": "transform", "response": {"wrap": "data"}},
            {"use": "headers", "request": {"remove": ["Accept-Encoding"]}},
            {"use": "headers", "request": {"set": {"Accept-Encoding": "identity"}}},
        ],
        ids=["transform", "remove", "set"],
    )
    def test_it_hears_the_client_before_those_who_keep_that_from_the_upstream(
        self, other: dict[str, Any]
    ) -> None:
        with behind(ALL, other, script=answers.raw(JSON)) as (client, upstream, _):
            got = client.ask("GET", "/", [("Accept-Encoding", "gzip")])
            assert upstream.requests[0].headers.get("Accept-Encoding") in (None, "identity")
        assert got.headers.get("Content-Encoding") == "gzip"
        assert TEXT in gzip.decompress(got.body)

    def test_behind_them_it_leaves_the_answer_plain(self) -> None:
        """Listed later, it would compress first, and `transform` could not read it."""
        transform = {"use": "transform", "response": {"wrap": "data"}}
        with behind(transform, ALL, script=answers.raw(JSON)) as (client, _, _gateway):
            got = client.ask("GET", "/", [("Accept-Encoding", "gzip")])
        assert not got.headers.has("Content-Encoding")
        assert got.body.startswith(b'{"data":')

    @pytest.mark.parametrize(
        ("accept", "coding"),
        [
            ("gzip, br, zstd", "zstd"),
            ("gzip, br;q=0.9", "gzip"),
            ("*", "zstd"),
            ("zstd;q=0, *;q=0.5", "br"),
            ("identity, gzip;q=0.5", None),
            ("deflate", None),
            ("", None),
            (None, None),
        ],
    )
    def test_the_client_chooses(self, accept: str | None, coding: str | None) -> None:
        got = compressed(answer(), accept)
        assert got.headers.get("Content-Encoding") == coding
        assert got.headers.all("Vary") == ["Accept-Encoding"]

    def test_a_chunked_body(self) -> None:
        head = answers.chunked_head(headers=[("Content-Type", "application/json")])
        got = compressed(head + chunk(TEXT) + chunk(TEXT) + LAST_CHUNK)
        assert gzip.decompress(got.body) == TEXT * 2

    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
    def test_an_event_is_not_held_up(self, coding: str) -> None:
        gate = threading.Event()
        head = answers.chunked_head(headers=[("Content-Type", "text/event-stream")])
        script = answers.raw(head + chunk(b"data: one\n\n"), gate, chunk(b"data: two\n\n") + LAST_CHUNK)
        with behind(ALL, script=script) as (client, _, _gateway):
            client.send(request(headers=[("Accept-Encoding", coding)]))
            got = client.head()
            assert got.headers.get("Content-Encoding") == coding
            pieces = client.reader.response_body(got, "GET")
            make: Any = {
                "gzip": lambda: zlib.decompressobj(31).decompress,
                "br": lambda: brotli.Decompressor().process,
                "zstd": lambda: zstd.ZstdDecompressor().decompress,
            }[coding]
            read = make()
            seen = b""
            while b"one\n\n" not in seen:
                seen += read(next(pieces))
            gate.set()
            for piece in pieces:
                seen += read(piece)
            assert seen == b"data: one\n\ndata: two\n\n"

    @pytest.mark.parametrize(
        "said",
        [
            answer(TEXT[:100]),
            answer(kind="image/png"),
            answer(gzip.compress(TEXT), "200 OK", "text/html", ("Content-Encoding", "gzip")),
            answer(TEXT, "206 Partial Content", "text/html", ("Content-Range", "bytes 0-4499/9000")),
            answer(TEXT, "200 OK", "text/html", ("Cache-Control", "public, no-transform")),
            answers.response(TEXT),
        ],
        ids=["small", "picture", "already", "part", "no-transform", "no type"],
    )
    def test_what_stays_as_it_is(self, said: bytes) -> None:
        got = compressed(said)
        assert got.headers.get("Content-Length") is not None
        assert said.endswith(got.body)

    def test_what_changes_with_the_bytes(self) -> None:
        fields = [
            ("ETag", '"abc"'),
            ("Accept-Ranges", "bytes"),
            ("Repr-Digest", "sha-256=:x:"),
            ("Vary", "Origin"),
        ]
        got = compressed(answer(TEXT, "200 OK", "text/html", *fields))
        assert got.headers.get("ETag") == 'W/"abc"'
        assert got.headers.all("Vary") == ["Origin", "Accept-Encoding"]
        assert not got.headers.has("Accept-Ranges")
        assert not got.headers.has("Repr-Digest")

    def test_a_weak_tag_stays(self) -> None:
        assert (
            compressed(answer(TEXT, "200 OK", "text/html", ("ETag", 'W/"abc"'))).headers.get("ETag")
            == 'W/"abc"'
        )

    def test_304_names_the_tag_that_the_client_knows(self) -> None:
        said = answers.response(b"", "304 Not Modified", [("ETag", '"abc"')], length=False)
        assert compressed(said).headers.get("ETag") == 'W/"abc"'
        assert compressed(said, None).headers.get("ETag") == '"abc"'

    def test_head_is_told_what_get_would_be(self) -> None:
        said = answers.response(
            b"", headers=[("Content-Type", "text/html"), ("Content-Length", "4500")], length=False
        )
        got = compressed(said, method="HEAD")
        assert (got.status, got.body) == (200, b"")
        assert got.headers.get("Content-Encoding") == "gzip"
        assert not got.headers.has("Content-Length")

    def test_a_cut_body_is_not_completed(self) -> None:
        head = answers.response(
            b"", headers=[("Content-Type", "text/html"), ("Content-Length", "9000")], length=False
        )
        with behind(ALL, script=answers.once(head + TEXT)) as (client, _, _gateway):
            client.send(request(headers=[("Accept-Encoding", "gzip")]))
            client.head()
            assert LAST_CHUNK not in client.until_eof()

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"codings": []}, "the list is empty"),
            ({"codings": ["gzip", "gzip"]}, "gzip is listed already"),
            ({"codings": ["brotli"]}, "expected br, gzip or zstd, not 'brotli'"),
            ({"types": ["html"]}, "'html' is no media type"),
        ],
    )
    def test_bad_settings(self, settings: dict[str, Any], said: str) -> None:
        assert said in " ".join(problems({"use": "compress", **settings}))


class TestDecompressRequests:
    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
    def test_upstreams_see_it_plain(self, coding: str) -> None:
        with behind({"use": "decompress"}) as (client, upstream, _):
            sent = [("Content-Encoding", coding), ("Content-Digest", "sha-256=:x:")]
            assert client.ask("POST", "/", sent, ENCODE[coding](TEXT)).status == 200
            got = upstream.requests[0]
            assert got.body == TEXT
            assert got.headers.all("Content-Length") == [str(len(TEXT))]
            assert not got.headers.has("Content-Encoding")
            assert not got.headers.has("Content-Digest")

    def test_what_is_plain_stays_a_stream(self) -> None:
        with behind({"use": "decompress", "max_request": "1KiB"}) as (client, upstream, _):
            assert client.ask("POST", "/", [], TEXT).status == 200
            assert upstream.requests[0].body == TEXT

    @pytest.mark.parametrize(
        ("coding", "body", "settings", "status"),
        [
            ("compress", b"x", {}, 415),
            ("gzip, br", b"x", {}, 415),
            ("gzip", b"not gzip", {}, 400),
            ("gzip", gzip.compress(TEXT)[:-9], {}, 400),
            ("br", brotli.compress(TEXT)[:-5], {}, 400),
            ("zstd", b"\x28\xb5\x2f\xfdnonsense", {}, 400),
            ("gzip", gzip.compress(TEXT), {"max_size": "4KiB"}, 413),
            ("gzip", gzip.compress(bytes(4 << 20)), {"max_ratio": 2}, 413),
            ("gzip", b"x" * 2000, {"max_request": "1KiB"}, 413),
        ],
        ids=["unknown", "twice", "none", "cut", "cut-br", "none-zstd", "large", "bomb", "long"],
    )
    def test_what_cannot_be_taken(
        self, coding: str, body: bytes, settings: dict[str, Any], status: int
    ) -> None:
        with behind({"use": "decompress", **settings}) as (client, upstream, _):
            got = client.ask("POST", "/", [("Content-Encoding", coding)], body)
            assert_problem(got, status)
            if status == 415:
                assert got.headers.get("Accept-Encoding") == "gzip, br, zstd"
            assert upstream.requests == []


class TestDecompressResponses:
    def got(self, body: bytes, coding: str, accept: str | None, **settings: Any) -> Response:
        said = answer(body, "200 OK", "text/html", ("Content-Encoding", coding), ("ETag", '"abc"'))
        with behind({"use": "decompress", **settings}, script=answers.raw(said)) as (client, _, _gateway):
            return client.ask("GET", "/", [] if accept is None else [("Accept-Encoding", accept)])

    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
    @pytest.mark.parametrize("accept", [None, "identity", "compress, *;q=0"])
    def test_clients_that_cannot_get_it_plain(self, coding: str, accept: str | None) -> None:
        got = self.got(ENCODE[coding](TEXT), coding, accept)
        assert got.body == TEXT
        assert not got.headers.has("Content-Encoding")
        assert got.headers.get("ETag") == 'W/"abc"'
        assert got.headers.get("Vary") == "Accept-Encoding"

    def test_others_get_it_as_it_is(self) -> None:
        body = gzip.compress(TEXT)
        got = self.got(body, "gzip", "gzip")
        assert (got.body, got.headers.get("ETag")) == (body, '"abc"')

    def test_members_may_follow_each_other(self) -> None:
        assert self.got(gzip.compress(TEXT) + gzip.compress(b"more"), "gzip", None).body == TEXT + b"more"

    @pytest.mark.parametrize(
        "body",
        [b"nonsense" * 10, gzip.compress(TEXT)[:-9], gzip.compress(bytes(8 << 20))],
        ids=["nonsense", "cut", "bomb"],
    )
    def test_what_is_none_or_a_bomb_is_cut(self, body: bytes) -> None:
        said = answer(body, "200 OK", "text/html", ("Content-Encoding", "gzip"))
        with behind({"use": "decompress", "max_ratio": 2}, script=answers.raw(said)) as (client, _, _gateway):
            client.send(request())
            assert client.head().status == 200
            assert not client.until_eof().endswith(LAST_CHUNK)


class TestDecoder:
    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
    def test_byte_by_byte(self, coding: str) -> None:
        decoder = Decoder(coding)
        said = ENCODE[coding](TEXT)
        assert b"".join(piece for i in range(len(said)) for piece in decoder.feed(said[i : i + 1])) == TEXT
        decoder.finish()

    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
    def test_a_bomb_goes_off_in_small_pieces(self, coding: str) -> None:
        decoder = Decoder(coding, ratio=10)
        sizes: list[int] = []
        pieces = decoder.feed(ENCODE[coding](bytes(64 << 20)))
        with pytest.raises(Expanding):
            sizes.extend(len(piece) for piece in pieces)
        assert max(sizes) <= codings.PIECE * 2
        assert sum(sizes) < 3 << 20

    @pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
    def test_an_early_end_is_told(self, coding: str) -> None:
        decoder = Decoder(coding)
        list(decoder.feed(ENCODE[coding](TEXT)[:-3]))
        with pytest.raises(Broken):
            decoder.finish()
