"""A short run of the fuzzer, always the same, and what it is made of."""

import random
from pathlib import Path
from typing import Literal

import pytest
import uvloop

from tests.fuzz import parsing, planted, requests
from tests.fuzz.cases import RequestCase, ResponseCase, load, request_case, response_case, save
from tests.fuzz.plants import PLANTS, Plant
from tests.fuzz.reference import read_requests, read_response
from tests.fuzz.responses import Asked
from tests.fuzz.run import Share, work
from tests.fuzz.shrink import replay, shrink
from tetrapylon._core.http import parse

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_mutated_messages_come_to_nothing_wrong() -> None:
    outcome = uvloop.run(work(Share(seed=1, requests=5000, responses=2000)))
    assert [finding for finding, _ in outcome.findings] == []
    assert outcome.seen["requests"] >= 5000
    assert outcome.seen["reached"] > 0.3 * outcome.seen["requests"]
    assert outcome.seen["responses"] >= 2000
    assert outcome.seen["passed"] > 0.3 * outcome.seen["responses"]


def test_a_seed_and_a_number_always_make_the_same_case(tmp_path: Path) -> None:
    for made, again in ((request_case(1, 5), request_case(1, 5)), (response_case(1, 5), response_case(1, 5))):
        assert made == again
        save(made, tmp_path / "case.json")
        assert load(tmp_path / "case.json") == made


def test_every_kind_of_mutation_takes_place() -> None:
    rng = random.Random(1)
    seen = {name for _ in range(500) for one in requests.sequence(rng, "q") for name in one.mutations}
    assert seen == {mutation.__name__ for mutation in requests.MILD + requests.HARSH + requests.LAST}


class TestReference:
    def test_the_end_of_a_stream_is_told(self) -> None:
        for said, count, rest in (
            (GET + GET, 2, "end"),
            (GET + GET[:-1], 1, "truncated"),
            (GET + b"G T\r\n", 1, "malformed"),
            (GET.replace(b"Host", b"Connection: close\r\nHost") + GET, 1, "closed"),
        ):
            meant, end, _ = read_requests(said)
            assert (len(meant), end) == (count, rest)

    def test_what_has_two_readings_has_none(self) -> None:
        for line in (
            b"Content-Length: 0\r\nTransfer-Encoding: chunked",
            b"Content-Length: 0\r\nContent-Length: 0",
        ):
            assert read_requests(GET.replace(b"Host", line + b"\r\nHost"))[:2] == ([], "malformed")

    def test_the_targets_authority_is_the_host(self) -> None:
        """RFC 9112, 3.2.2; in HTTP/1.0 also where no Host came."""
        for said in (
            b"GET http://b:80/x HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET http://b:80/x HTTP/1.0\r\n\r\n",
        ):
            meant = read_requests(said)[0][0].forwarded
            assert meant is not None
            assert (meant.host, meant.target) == ("b:80", "/x")

    def test_what_an_upstream_says_too_much_is_counted(self) -> None:
        told = read_response(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "GET")
        assert (told.whole, told.surplus) == (True, 2)
        assert read_response(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na", "GET").whole is False


class TestJudge:
    """The judge has to see what is wrong: here it is told that wrong things are right."""

    def test_a_right_request_that_is_refused(self) -> None:
        case = RequestCase(
            "q0", [GET, b"GET /\\ HTTP/1.1\r\nHost: a\r\n\r\n"], [True, True], mutations=[[], []]
        )
        case.meant[1].forwarded = case.meant[0].forwarded
        assert [finding.kind for finding in uvloop.run(replay([case]))] == ["refused"]

    def test_a_request_that_nobody_meant(self) -> None:
        case = RequestCase("q0", [GET], [False], mutations=[[]])
        case.meant.clear()
        assert "smuggled" in {finding.kind for finding in uvloop.run(replay([case]))}

    def test_an_answer_that_is_not_the_one(self) -> None:
        said = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + body for body in (b"a", b"b")]
        case = ResponseCase("p0", [Asked("GET", 1, False, one, True, []) for one in said], [[], []])
        case.told.reverse()
        assert "crossed" in {finding.kind for finding in uvloop.run(replay([case]))}

    def test_what_is_found_is_made_smaller(self, monkeypatch: pytest.MonkeyPatch) -> None:
        bad = GET.replace(b"GET", b"BREW")
        case = RequestCase("q0", [GET, bad, GET], [True, True, True], [4, 9], [[], [], []])
        small = uvloop.run(shrink(case, "refused"))
        assert isinstance(small, RequestCase)
        assert (small.parts, small.cuts) == ([bad], [])


class TestParsing:
    """What atheris calls, on what the fuzzer makes."""

    def test_both_backends_read_what_the_reference_does(self) -> None:
        for number in range(500):
            asked = b"".join(request_case(1, number).parts)
            told = b"".join(one.said for one in response_case(1, number).asked)
            parsing.check(bytes([number % 64 << 1]) + asked)
            parsing.check(bytes([number % 64 << 1 | 1]) + told)

    def test_it_sees_a_backend_that_reads_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def lenient(
            kind: Literal["request", "response"], pieces: list[bytes], **more: object
        ) -> list[tuple[object, ...]]:
            if parse.backend() == "httptools":
                pieces = [piece.replace(b" :", b":") for piece in pieces]
            return feed(kind, pieces)

        feed = parse.feed
        monkeypatch.setattr(parse, "feed", lenient)
        parsing.check(b"\0" + GET)
        with pytest.raises(parsing.Differs):
            parsing.check(b"\0" + GET.replace(b":", b" :"))

    def test_it_sees_what_both_read_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def lenient(
            kind: Literal["request", "response"], pieces: list[bytes], **more: object
        ) -> list[tuple[object, ...]]:
            return feed(kind, [b"".join(pieces).replace(b" :", b":")])

        feed = parse.feed
        monkeypatch.setattr(parse, "feed", lenient)
        with pytest.raises(parsing.Differs, match="nobody said"):
            parsing.check(b"\0" + GET.replace(b":", b" :"))


@pytest.mark.parametrize("bug", PLANTS, ids=lambda bug: bug.name)
def test_each_planted_bug_has_its_place(bug: Plant) -> None:
    source = planted.ROOT / bug.file
    if not source.exists():
        pytest.skip("no sources at hand")
    assert source.read_text().count(bug.was) == 1
