"""What comparing comes to."""

import json

from tetrapylon.diff import Answer, Findings, Rules
from tetrapylon.diff.findings import Pair

JSON = [(b"Content-Type", b"application/json")]


def answer(**members: object) -> Answer:
    return Answer(200, JSON, json.dumps(members).encode())


def pair(primary: Answer, second: Answer, again: Answer | None = None, target: str = "/users/1") -> Pair:
    return Pair("users", "GET", target, primary, second, again)


def test_differences_are_grouped_and_counted_with_a_few_redacted_samples() -> None:
    findings = Findings()
    for n in range(10):
        findings.take(
            pair(answer(price=n, password="old"), answer(price=n + 1, password="new"), target="/a?token=abc"),
            Rules(),
        )
    findings.take(pair(answer(a=1), answer(a=1)), Rules())
    findings.same("users", 9)
    (told,) = findings.told()
    assert (told["compared"], told["different"]) == (20, 10)
    by_place = {each["where"]: each for each in told["differences"]}
    assert {where: each["count"] for where, each in by_place.items()} == {
        "body price": 10,
        "body password": 10,
    }
    assert len(by_place["body price"]["samples"]) == 3
    assert by_place["body price"]["samples"][0]["second"] == "1"
    text = json.dumps(told)
    assert "abc" not in text
    assert "old" not in text
    assert "new" not in text


def test_noise_that_is_learned_later_takes_back_what_was_found_before() -> None:
    findings = Findings()
    findings.take(pair(answer(at="2024-01-01T00:00:00Z"), answer(at="2024-01-01T00:00:01Z")), Rules())
    assert findings.told()[0]["different"] == 1
    findings.take(
        pair(
            answer(at="2024-01-02T00:00:00Z"),
            answer(at="2024-01-02T00:00:01Z"),
            again=answer(at="2024-01-02T00:00:02Z"),
        ),
        Rules(),
    )
    (told,) = findings.told()
    assert (told["compared"], told["different"], told["differences"]) == (2, 0, [])
    findings.take(pair(answer(at="2024-01-01T00:00:00Z"), answer(at="yesterday")), Rules())
    assert findings.told()[0]["different"] == 1


def test_texts_found_before_their_words_were_known_are_told_apart_by_them() -> None:
    findings = Findings()
    findings.take(pair(answer(text="made at 1"), answer(text="made at 2")), Rules())
    findings.take(pair(answer(text="made at 1"), answer(text="broken at 2")), Rules())
    findings.take(pair(answer(text="made at 1"), answer(text="made at 2"), answer(text="made at 3")), Rules())
    assert findings.told()[0]["different"] == 1


def test_many_texts_found_before_they_were_known_to_be_free_are_taken_back() -> None:
    findings = Findings()
    words = [chr(97 + n // 26) + chr(97 + n % 26) for n in range(100)]
    for word in words:
        findings.take(pair(answer(text="x"), answer(text=f"a {word}")), Rules())
    assert findings.told()[0]["different"] == 100
    findings.take(pair(answer(text="x"), answer(text="y"), answer(text="z")), Rules())
    assert findings.told()[0]["different"] == 0


def test_integers_that_no_float_holds_are_counted_like_others() -> None:
    findings = Findings()
    findings.take(pair(answer(a=10**400), answer(a=-(10**401)), again=answer(a=10**402)), Rules())
    assert findings.told()[0]["different"] == 1


def test_places_are_bounded() -> None:
    findings = Findings()
    for n in range(1000):
        findings.take(pair(answer(**{f"member{n}": 1}), answer()), Rules())
    (told,) = findings.told()
    assert told["different"] == 1000
    assert len(told["differences"]) <= 201
