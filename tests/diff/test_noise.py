"""What the first service's own answers teach, and how narrow that is."""

from typing import Any

import msgspec
import pytest

from tetrapylon.diff import Noise
from tetrapylon.diff.answer import Difference
from tetrapylon.diff.noise import Seen

WHERE = "body message"


def taught(*pairs: tuple[Any, Any], where: str = WHERE) -> Noise:
    noise = Noise()
    for left, right in pairs:
        noise.learn(Difference(where, "value", left, right))
    return noise


def explains(noise: Noise, value: Any, where: str = WHERE) -> bool:
    return noise.explains(Difference(where, "value", None, value))


MADE = ("made at 09:00:03 by worker 17", "made at 09:00:07 by worker 4")


def test_the_words_around_data_stay() -> None:
    noise = taught(MADE)
    assert explains(noise, "made at 11:30:00 by worker 12")
    assert not explains(noise, "made at 11:30:00 by host 12")
    assert not explains(noise, "made at 11:30:00 by worker None")
    assert not explains(noise, "made at 11:30:00")


def test_data_that_stay_are_words() -> None:
    noise = taught(("v2, asked at 09:00:03", "v2, asked at 09:00:07"))
    assert explains(noise, "v2, asked at 09:00:09")
    assert not explains(noise, "v3, asked at 09:00:09")


@pytest.mark.parametrize(
    "pair",
    [
        ("Stay hungry.", "Know thyself."),
        ("one, two", "one"),
        (MADE[0], "made by hand"),
        ("x" * 300, "y" * 300),
    ],
)
def test_texts_whose_words_vary_are_free(pair: tuple[str, str]) -> None:
    noise = taught(pair)
    assert explains(noise, "anything else")
    assert not explains(noise, "")


def test_a_text_is_free_from_the_first_other_words_on() -> None:
    noise = taught(MADE, (MADE[0], "made by hand"), MADE)
    assert explains(noise, "anything else")


def test_tokens_by_chance_are_one_token_whatever_is_in_them() -> None:
    noise = taught(("key Zm9vL2Jhcis0NzExL2Jhei9xdXV4Kzk5Cg==", "key QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="))
    assert explains(noise, "key d2l0aC9zbGFzaGVz/GFuZCtwbHVzZXM9aW4raXQ=")
    assert not explains(noise, "d2l0aC9zbGFzaGVz/GFuZCtwbHVzZXM9aW4raXQ=")


@pytest.mark.parametrize(
    ("pair", "good", "bad"),
    [
        (
            ("01JDY2ZK7Q4V8R1M3N5P7S9T0A", "01JDY30B1C2D3E4F5G6H7J8K9M"),
            "01JDY3ZZZZZZZZZZZZZZZZZZZZ",
            "a" * 26,
        ),
        (
            ("eyJhbGciOiJI.eyJzdWIi.c2ln", "eyJhbGciOiJI.eyJqdGki.b3Ro"),
            "eyJhbGciOiJI.eyJpYXQi.eHl6",
            "0f8fad5bd9",
        ),
    ],
)
def test_identifiers_keep_their_kind(pair: tuple[str, str], good: str, bad: str) -> None:
    noise = taught(pair)
    assert explains(noise, good)
    assert not explains(noise, bad)


def test_of_what_is_secret_no_words_are_kept() -> None:
    noise = taught(("key hunter17", "key hunter18"), where="body user.password")
    assert explains(noise, "another", where="body user.password")
    assert b"key" not in msgspec.msgpack.encode(noise.seen["body user.password", "value"])
    mail = taught(("ask ada@example.org, 1", "ask bob@example.org, 2"))
    assert b"example" not in msgspec.msgpack.encode(mail.seen[WHERE, "value"])


def test_what_was_learned_before_texts_had_words_is_read() -> None:
    old = msgspec.msgpack.encode({"count": 3, "shapes": ["text"], "low": float("inf"), "high": float("-inf")})
    assert msgspec.msgpack.decode(old, type=Seen).covers("anything")
