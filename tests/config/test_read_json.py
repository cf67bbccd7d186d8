"""JSON: what the standard library takes, with places, and without duplicate keys."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.test_read_yaml import plain
from tetrapylon.config.read_json import parse
from tetrapylon.errors import ConfigError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_reads_what_the_standard_library_writes(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert plain(parse(text, "gateway.json").root) == value


def test_every_value_and_key_has_its_place() -> None:
    document = parse('{\n  "a": [1, {"b": null}]\n}', "gateway.json")
    assert document.place(("a",), key=True).mark == (2, 3)
    assert document.place(("a", 1, "b")).mark == (2, 18)
    assert document.place(("a", 1, "b"), key=True).mark == (2, 13)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "gateway.json: the file is empty"),
        (" \n", "gateway.json: the file is empty"),
        (
            '{"a": 1,\n "a": 2}',
            "gateway.json:2:2: not JSON: the key 'a' stands here twice; the first is at line 1",
        ),
        ('{"a": 1,}', "gateway.json:1:9: not JSON: a comma before `}`"),
        ("[1,]", "gateway.json:1:4: not JSON: a comma before `]`"),
        ("{a: 1}", "gateway.json:1:2: not JSON: 'a' begins no key; expected a key in double quotes"),
        ('{"a" 1}', "gateway.json:1:6: not JSON: no colon after the key"),
        ('{"a": 1', "gateway.json:1:8: not JSON: the file ends too early"),
        ('{"a": ', "gateway.json:1:7: not JSON: the file ends too early"),
        ('{"a": "b', "gateway.json:1:7: not JSON: unterminated string"),
        ('{"a": "\\x"}', "gateway.json:1:8: not JSON: invalid \\escape"),
        ("// no", "gateway.json:1:1: not JSON: '/' begins no value"),
        ("{} {}", "gateway.json:1:4: not JSON: more text after the end"),
        ("[01]", "gateway.json:1:3: not JSON: '1' where the value has ended"),
        ("[" * 100_000, "gateway.json:1:65: not JSON: nested deeper than 64 levels"),
    ],
)
def test_mistakes_are_named_where_they_stand(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "gateway.json")
    assert str(error.value).startswith(said)
