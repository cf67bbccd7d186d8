"""What is the same and what is not, case by case, and for JSON of any kind."""

import gzip
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapylon.diff import Answer, Noise, Rules, compare
from tetrapylon.diff.compare import learn
from tetrapylon.diff.rules import Tolerance

JSON = (b"Content-Type", b"application/json")


def answer(body: Any, *headers: tuple[bytes, bytes], status: int = 200) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, [JSON, *headers] if not isinstance(body, bytes) else list(headers), text)


def found(left: Any, right: Any, rules: Rules | None = None) -> list[tuple[str, str]]:
    return [each.group for each in compare(answer(left), answer(right), rules or Rules())]


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5)
)


def shuffled(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: shuffled(value[name], rng) for name in names}
    return [shuffled(each, rng) for each in value] if isinstance(value, list) else value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [leaf for key, each in inner for leaf in leaves(each, (*path, key))]
    return below or [path]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@given(values, st.randoms(use_true_random=False))
def test_the_order_of_names_and_the_spelling_of_texts_mean_nothing(value: Any, rng: random.Random) -> None:
    other = json.dumps(shuffled(value, rng), ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
    if "\\ud" in json.dumps(value):
        return  # lone surrogates have no UTF-8
    assert compare(answer(value), Answer(200, [JSON], other), Rules()) == []


@given(values, st.data())
def test_a_leaf_that_is_another_is_found(value: Any, data: st.DataObject) -> None:
    where = data.draw(st.sampled_from(leaves(value)))
    changed = put(value, where, "a text that is nowhere")
    assert found(value, changed)
    assert found(changed, value)


@given(values, values)
def test_nothing_makes_it_fail_and_it_is_symmetric(left: Any, right: Any) -> None:
    assert bool(found(left, right)) == bool(found(right, left))


@given(
    st.binary(max_size=200),
    st.binary(max_size=200),
    st.sampled_from([b"application/json", b"text/html", b""]),
)
def test_whatever_the_bodies_are_equal_bytes_alone_are_equal(one: bytes, other: bytes, kind: bytes) -> None:
    headers = [(b"Content-Type", kind)]
    differs = bool(compare(Answer(200, headers, one), Answer(200, headers, other), Rules()))
    if one == other:
        assert not differs
    elif kind != b"application/json":
        assert differs


def test_number_forms_are_one_number_and_booleans_are_none() -> None:
    assert found({"a": 1}, {"a": 1.0}) == []
    assert compare(answer({"a": 100.0}), Answer(200, [JSON], b'{"a": 1e2}'), Rules()) == []
    assert found({"a": 0.1 + 0.2}, {"a": 0.3}) == []
    assert found({"a": 1}, {"a": True}) == [("body a", "type")]


def test_large_integers_are_compared_to_the_last_digit_however_they_are_written() -> None:
    def differ(left: bytes, right: bytes) -> bool:
        return bool(compare(Answer(200, [JSON], left), Answer(200, [JSON], right), Rules()))

    assert differ(b"9007199254740993", b"9007199254740992")
    assert differ(b"9007199254740993", b"9.007199254740992e15")
    assert differ(b"12345678901234567890", b"12345678901234567000")
    assert differ(b"10" * 300, b"1e999")
    # A double's shortest digits, and all of them.
    assert not differ(b"12345678901234567000", b"1.2345678901234567e19")
    assert not differ(b"12345678901234567168", b"1.2345678901234567e19")
    assert not differ(b"100000000000000000000", b"1e20")


def test_integers_that_no_float_holds_are_within_no_tolerance() -> None:
    rules = Rules(tolerance={"a": Tolerance(1)})
    assert found({"a": 10**400}, {"a": 10**401}, rules) == [("body a", "value")]


def test_cookies_are_told_by_what_a_browser_makes_of_them() -> None:
    def cookie(left: bytes, right: bytes) -> list[str]:
        old, new = (answer({}, (b"Set-Cookie", each)) for each in (left, right))
        return [each.where for each in compare(old, new, Rules())]

    assert cookie(b"a=1; Path=/; SameSite=Lax; Secure", b"a=1;secure; samesite=lax; path=/") == []
    assert cookie(b"a=1; Domain=.Shop.example", b"a=1; Domain=shop.example") == []
    assert cookie(b"a=1; SameSite=Lax", b"a=1; SameSite=None") == ["header set-cookie a; samesite"]
    assert cookie(b"a=1; Path=/A", b"a=1; Path=/a") == ["header set-cookie a; path"]


def test_two_cookies_of_one_name_are_two() -> None:
    both = [(b"Set-Cookie", b"a=1; Path=/"), (b"Set-Cookie", b"a=2; Path=/b")]
    assert compare(answer({}, *both), answer({}, *both[::-1]), Rules()) == []
    changed = [both[0], (b"Set-Cookie", b"a=3; Path=/b")]
    (one,) = compare(answer({}, *both), answer({}, *changed), Rules())
    assert (one.where, one.kind) == ("header set-cookie a (/b)", "header")
    assert compare(answer({}, *both), answer({}, both[1]), Rules())


def test_places_are_paths_and_items_of_an_array_share_theirs() -> None:
    left = {"items": [{"id": 1, "price": 2}, {"id": 2, "price": 3}], "a.b": 1}
    right = {"items": [{"id": 1, "price": 2}, {"id": 2, "price": 4}], "a.b": 2}
    assert found(left, right) == [("body items[].price", "value"), ("body a\\.b", "value")]


def test_an_item_that_is_gone_is_one_difference_not_one_for_each_behind_it() -> None:
    left = [{"id": n, "price": n} for n in range(10)]
    assert found(left, left[1:]) == [("body", "length"), ("body []", "missing")]
    assert found(list(range(10)), list(range(1, 10))) == [("body", "length"), ("body []", "missing")]


def test_the_rules_of_people() -> None:
    rules = Rules(
        ignore=["meta.at", "items.*.seen"],
        sets=["tags"],
        tolerance={"price": Tolerance(0.01), "score": Tolerance(0.1, relative=True)},
    )
    left = {"meta": {"at": 1}, "items": [{"a": {"seen": 1}}], "tags": [1, 2], "price": 1.0, "score": 100}
    right = {"meta": {"at": 2}, "items": [{"a": {"seen": 2}}], "tags": [2, 1], "price": 1.01, "score": 91}
    assert found(left, right, rules) == []
    assert found(left, {**right, "price": 1.02, "score": 89, "tags": [2, 2]}, rules) == [
        ("body tags[]", "value"),
        ("body price", "value"),
        ("body score", "value"),
    ]


def test_text_is_told_by_what_stands_before_it() -> None:
    html = (b"Content-Type", b"text/html")
    left, right = b'<input name="csrf" value="abc">', b'<input name="csrf" value="xyz">'
    (one,) = compare(answer(left, html), answer(right, html), Rules())
    assert (one.kind, one.left, one.right) == ("text", "abc", "xyz")
    noise = Noise()
    learn(answer(left, html), answer(right, html), Rules(), noise)
    third = b'<input name="csrf" value="klm">'
    assert compare(answer(left, html), answer(third, html), Rules(), noise) == []
    assert compare(answer(left, html), answer(b'<input name="csrf" value="">', html), Rules(), noise)


def test_codings_are_undone_and_what_is_broken_is_a_difference() -> None:
    coded = (b"Content-Encoding", b"gzip")
    left = answer({"a": 1})
    assert compare(left, Answer(200, [JSON, coded], gzip.compress(left.body)), Rules()) == []
    (one,) = compare(left, Answer(200, [JSON, coded], gzip.compress(left.body)[:-9]), Rules())
    assert one.group == ("body", "type")


def test_a_second_that_does_not_answer_differs_and_an_error_is_never_noise() -> None:
    noise = Noise()
    learn(answer({}), answer({}, status=503), Rules(), noise)
    assert compare(answer({}), answer({}, status=503), Rules(), noise)
    (one,) = compare(answer({}), Answer(0, fault="connection_timeout"), Rules(), noise)
    assert one.group == ("answer", "error")


@pytest.mark.parametrize("depth", [300, 100_000])
def test_what_is_nested_too_deep_is_compared_as_text(depth: int) -> None:
    body = b"[" * depth + b"]" * depth
    left, right = Answer(200, [JSON], body), Answer(200, [JSON], body.replace(b"]", b" ]", 1))
    assert compare(left, left, Rules()) == []
    assert [each.kind for each in compare(left, right, Rules())] == ["text"]


def test_bytes_that_vary_keep_their_format_where_they_have_one() -> None:
    def said(first: bytes, again: bytes, second: bytes) -> bool:
        noise = Noise()
        learn(answer(first), answer(again), Rules(), noise)
        return not compare(answer(first), answer(second), Rules(), noise)

    png, jpeg = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"
    assert said(png + b"\x81" * 60, png + b"\x82" * 60, png + b"\x83" * 60)
    assert not said(png + b"\x81" * 60, png + b"\x82" * 60, jpeg + b"\x83" * 60)
    # Random bytes begin otherwise each time: of a format nothing is known, of a length there is.
    assert said(b"\x81" * 64, b"\x82" * 64, b"\x83" * 64)
    assert not said(b"\x81" * 64, b"\x82" * 64, b"\x83" * 6)
