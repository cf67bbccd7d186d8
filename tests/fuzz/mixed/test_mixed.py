"""A short run of features in company, and that what is wrong would be seen."""

import random

import uvloop

from tests.fuzz.mixed import settings
from tests.fuzz.mixed.client import Conversation
from tests.fuzz.mixed.run import ROUTES, Run
from tests.fuzz.mixed.words import payload, strangers


def test_features_in_company_come_to_nothing_wrong() -> None:
    for seed in (1, 13):
        run = Run(seed, range(120), 40)
        uvloop.run(run.all())
        assert run.findings == []
        assert run.seen["requests"] > 300
        assert run.seen["length"] + run.seen["pieces"] + run.seen["gzip"] > 10


def conversation() -> Conversation:
    """A patient client's, with one request that an upstream is to answer with a length."""
    made = settings.Route("/r0", {"upstream": "up"})
    for number in range(20_000):
        talk = Conversation(1, number, [made])
        one = talk.asked[0]
        if (talk.manner, len(talk.asked), one.method, one.do) == ("polite", 1, "GET", "length"):
            talk.ended = True
            return talk
    raise AssertionError("no conversation of that kind")


def right() -> bytes:
    one = conversation().asked[0]
    return payload(one.id, one.size)


def answer(body: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


class TestJudge:
    def kind(self, said: bytes) -> str | None:
        talk = conversation()
        talk.heard += said.replace(b"MARK", talk.asked[0].id.encode())
        wrong = talk.wrong()
        return None if wrong is None else wrong[0]

    def test_what_is_right_passes(self) -> None:
        assert self.kind(answer(right())) is None

    def test_what_is_wrong_is_seen(self) -> None:
        assert self.kind(b"") == "unanswered"
        assert self.kind(answer(payload("i0x9i", 20))) == "crossed"
        assert self.kind(answer(b'{"id":"MARK"}')) == "crossed"
        assert self.kind(answer(right()) + b"HTTP/1.1 200 OK\r\n\r\n") == "surplus"
        assert self.kind(answer(right())[:20]) == "garbage"
        assert self.kind(answer(right()).replace(b"200", b"2x0")) == "garbage"
        assert self.kind(b"HTTP/1.1 500 Oh\r\nContent-Type: application/problem+json\r\n\r\n") == "answer"

    def test_a_mark_is_read_among_others(self) -> None:
        assert strangers(b"i1x1i k3k,i2x1i", "i1x1i") == {b"k3k", b"i2x1i"}


def test_a_seed_always_makes_the_same_config_and_conversations() -> None:
    first, again = (settings.routes(random.Random(4), ROUTES) for _ in range(2))
    assert [route.config for route in first] == [route.config for route in again]
    assert [one.said[:100] for one in Conversation(4, 9, first).asked] == [
        one.said[:100] for one in Conversation(4, 9, again).asked
    ]
