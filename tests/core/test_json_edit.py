"""JSON changed as text: what stays is as it was, to the byte, and what comes out is JSON again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapylon._core.code.json_edit import check, edit, make_edit, members, split, value_at


def edited(text: str, **edits: Any) -> str:
    made = make_edit(**edits)
    assert made is not None
    return edit(made, check(text.encode())).decode()


class TestCheck:
    @pytest.mark.parametrize("text", [b'{"a": [1, 2.5e3, "x\\n", null, true]}', b'"\xc3\xa4"', b"0", b"[]"])
    def test_one_value_is_taken_as_it_is(self, text: bytes) -> None:
        assert check(text) == text
        assert check(b" \r\n" + text + b"\t ") == text

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b" ",
            b"{",
            b'{"a":1}}',
            b'{"a":1},"b":2',
            b"[1,]",
            b'{"a":1,}',
            b"{'a':1}",
            b"NaN",
            b"01",
            b'["\x01"]',
            b'["\xff"]',
            b'{"\xc3":1}',
            b'["\xed\xa0\x80"]',
            b"\xef\xbb\xbf{}",
            b'["\\x"]',
            b"nul",
            b"<html>",
            b'{"a":1}\x00',
            b"[" * 100_000 + b"]" * 100_000,
        ],
    )
    def test_what_could_break_what_it_is_put_into_is_refused(self, text: bytes) -> None:
        with pytest.raises(ValueError, match=r"JSON|truncated|UTF-8|deeply"):
            check(text)


class TestEdit:
    def test_what_is_not_named_stays_to_the_byte(self) -> None:
        assert (
            edited('{"a" :1,"b":{"c" : [ 1 ]},"d":"\\u00e4"}', drop=["a"])
            == '{"b":{"c" : [ 1 ]},"d":"\\u00e4"}'
        )

    def test_fields_are_picked_by_path_with_what_is_around_them(self) -> None:
        text = '{"id":1,"address":{"city":"x","zip":2},"b":3}'
        assert edited(text, pick=["id", "address.city"]) == '{"id":1,"address":{"city":"x"}}'

    def test_paths_go_through_arrays(self) -> None:
        assert edited('[{"a":[{"b":1,"c":2},{"b":3}]},{"a":[]}, 5]', pick=["a.b"]) == (
            '[{"a":[{"b":1},{"b":3}]},{"a":[]},null]'
        )

    def test_where_fields_are_picked_of_what_has_none_nothing_else_comes_through(self) -> None:
        assert edited('{"user":"secret"}', pick=["user.name"]) == '{"user":null}'
        assert edited('"secret"', pick=["user"]) == "null"

    def test_names_are_what_they_mean_however_they_are_written(self) -> None:
        assert edited('{"p\\u0061ss":1,"b":2}', drop=["pass"]) == '{"b":2}'
        assert edited('{"pass\\\\":1,"b":2}', drop=["pass"]) == '{"pass\\\\":1,"b":2}'
        assert edited('{"a.b":1,"a":{"b":2}}', drop=["a\\.b"]) == '{"a":{"b":2}}'

    def test_each_of_two_equal_names_is_dropped(self) -> None:
        assert edited('{"a":1,"b":2,"a":3}', drop=["a"]) == '{"b":2}'

    def test_a_new_name_takes_the_place_of_the_old_and_of_who_had_it(self) -> None:
        assert edited('{"a":1,"b":2}', rename={"a": "b"}) == '{"b":1}'
        assert edited('{"b":2,"c":0}', rename={"a": "b"}) == '{"b":2,"c":0}'
        assert edited('{"a":1,"b":2}', rename={"a": "b", "b": "a"}) == '{"b":1,"a":2}'
        assert edited('{"x":{"a":1}}', rename={"x.a": 'q"\n'}) == '{"x":{"q\\"\\n":1}}'

    def test_pick_drop_and_rename_together(self) -> None:
        text = '{"u":{"id":1,"pw":2,"n":3},"v":4}'
        assert edited(text, pick=["u"], drop=["u.pw"], rename={"u.n": "name"}) == '{"u":{"id":1,"name":3}}'

    def test_nothing_to_change_is_no_edit(self) -> None:
        assert make_edit() is None


class TestValues:
    def test_a_value_is_found_by_its_path(self) -> None:
        text = check(b'{"a": [ {"b" : "x"} , 2 ], "c": null}')
        assert value_at(text, split("a.0.b")) == b'"x"'
        assert value_at(text, split("a.1")) == b"2"
        assert value_at(text, split("c")) == b"null"

    @pytest.mark.parametrize("path", ["x", "a.2", "a.x", "a.0.c", "c.d", "a.00000000001"])
    def test_what_is_not_there_is_not_found(self, path: str) -> None:
        assert value_at(b'{"a":[{"b":1},2],"c":null}', split(path)) is None

    def test_members_of_an_object(self) -> None:
        assert members(b'{"a":1,"b":[2],"a":3}') == {b'"a"': b"3", b'"b"': b"[2]"}
        with pytest.raises(ValueError, match="object"):
            members(b"[1]")


NAMES = st.sampled_from(["a", "b", "c", 'q"', "ä", "a.b", ""])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def without(value: Any, path: list[str]) -> Any:
    """As `drop` means it, on decoded values."""
    if isinstance(value, list):
        return [without(each, path) for each in value]
    if not isinstance(value, dict):
        return value
    if len(path) == 1:
        return {name: each for name, each in value.items() if name != path[0]}
    return {name: without(each, path[1:]) if name == path[0] else each for name, each in value.items()}


def only(value: Any, path: list[str]) -> Any:
    """As `pick` of one path means it."""
    if not path:
        return value
    if isinstance(value, list):
        return [only(each, path) for each in value]
    if not isinstance(value, dict):
        return None
    return {name: only(each, path[1:]) for name, each in value.items() if name == path[0]}


@given(VALUES, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3), st.sampled_from([None, 1]))
def test_it_does_what_the_same_does_to_decoded_values(
    value: Any, path: list[str], indent: int | None
) -> None:
    text = json.dumps(value, indent=indent)
    assert json.loads(edited(text, drop=[".".join(path)])) == without(value, path)
    assert json.loads(edited(text, pick=[".".join(path)])) == only(value, path)
