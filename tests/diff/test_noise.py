"""What the first service's own answers teach, and how narrow that is."""

from typing import Any

import msgspec
import pytest

from tetrapylon.diff import Answer, Noise, Rules, compare
from tetrapylon.diff.answer import Difference
from tetrapylon.diff.compare import learn
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


@pytest.mark.parametrize(
    ("pair", "nothing"),
    [
        (
            ("d2b7f2ce-8a52-4a0e-9d0b-06a4f2f6d6a1", "0b7a4c2d-9e6f-4a2b-8c4d-5e6f8d1f3c5e"),
            "0" * 8 + "-0000" * 3 + "-" + "0" * 12,
        ),
        (("4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e47364bf92f3577b34da6"), "0" * 32),
        (("2026-11-30T09:00:00Z", "2026-11-30T09:00:01Z"), "0001-01-01T00:00:00Z"),
        (("2026-11-30T09:00:00Z", "2026-11-30T09:00:01Z"), "1970-01-01T00:00:00Z"),
    ],
)
def test_what_was_never_set_is_no_identifier_and_no_time(pair: tuple[str, str], nothing: str) -> None:
    assert not explains(taught(pair), nothing)
    assert explains(taught(pair, (pair[0], nothing)), nothing), "unless the first service says so, too"


def compared(first: bytes, again: bytes, second: bytes, kind: bytes) -> list[str]:
    noise = Noise()
    one, twin, other = (Answer(200, [(b"Content-Type", kind)], body) for body in (first, again, second))
    learn(one, twin, Rules(), noise)
    return [each.kind for each in compare(one, other, Rules(), noise)]


def test_lines_of_json_and_other_text_of_no_known_type_are_compared_as_text() -> None:
    lines = b'{"id":"%s","ok":true}\n'
    first, again, second = (
        lines % each for each in (b"4bf92f3577b34da6", b"a3ce929d0e0e4736", b"0123456789abcdef")
    )
    assert compared(first, again, second, b"application/x-ndjson") == []
    assert compared(first, again, second.replace(b"true", b"false"), b"application/x-ndjson") == ["text"]


def test_bytes_that_vary_stay_of_their_format_and_about_their_length() -> None:
    first, again = (b"PK\x03\x04" + bytes([n]) * 500 + b"\0" for n in (1, 2))
    assert compared(first, again, b"PK\x03\x04" + b"\3" * 400 + b"\0", b"application/zip") == []
    assert compared(first, again, b"PK\x03\x04\0", b"application/zip") == ["bytes"]
    assert compared(first, again, b"%PDF" + b"\3" * 500 + b"\0", b"application/zip") == ["bytes"]
    assert compared(first, again, b"", b"application/zip") == ["bytes"]


def test_a_list_whose_length_varies_is_not_of_any_length() -> None:
    noise = Noise()
    noise.learn(Difference("body items", "length", 3, 5))
    assert noise.explains(Difference("body items", "length", 3, 8))
    assert not noise.explains(Difference("body items", "length", 3, 0))
    assert not noise.explains(Difference("body items", "length", 3, 5000))
