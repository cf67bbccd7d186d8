"""YAML: values by version 1.2, a place for each, and nothing that could hurt."""

import time
from typing import Any

import pytest

from tetrapylon.config.read_yaml import parse
from tetrapylon.config.tree import LARGEST, Document, Node
from tetrapylon.errors import ConfigError


def plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def read(text: str) -> Document:
    return parse(text, "gateway.yaml")


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(text)
    (problem,) = error.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("off", "off"),
        ("y", "y"),
        ("1:30", "1:30"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("2001-01-01", "2001-01-01"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1.5", 1.5),
        ("-1e3", -1000.0),
        (".inf", float("inf")),
        ("1.2.3", "1.2.3"),
        ("+", "+"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("!!int '1'", 1),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
    ],
)
def test_scalars_follow_version_1_2(text: str, value: object) -> None:
    read_value = plain(read(f"key: {text}").root)["key"]
    assert read_value == value
    assert type(read_value) is type(value)


def test_every_value_and_key_has_its_place() -> None:
    document = read("a:\n  - b: 1\n    ü: {c: x}\n")
    assert document.place(("a", 0, "b")).mark == (2, 8)
    assert document.place(("a", 0, "b"), key=True).mark == (2, 5)
    assert document.place(("a", 0, "ü", "c")).mark == (3, 12)
    assert document.place(("a", 0, "ü", "c"), key=True).mark == (3, 9)
    assert document.place(("a", 0, "missing")).mark == (2, 5)


def test_aliases_stand_for_their_anchors() -> None:
    assert plain(read("a: &x {b: 1}\nc: [*x, *x]").root) == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


def test_merge_keys_give_way_to_what_is_there() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\nd: {y: 0, <<: *a}"
    root = plain(read(text).root)
    assert root["c"] == {"y": 3, "x": 1, "z": 2}
    assert root["d"] == {"y": 0, "x": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "gateway.yaml: the file is empty"),
        ("# nothing\n", "gateway.yaml: the file is empty"),
        (
            "a: 1\nb: 2\na: 3",
            "gateway.yaml:3:1: the key 'a' stands here twice; the first is at line 1, column 1",
        ),
        ("a: {b: 1, b: 2}", "gateway.yaml:1:11: the key 'b' stands here twice"),
        ("a: 1\n---\nb: 2", "gateway.yaml:2:1: a second document begins here"),
        (
            "a: [1, 2",
            "gateway.yaml:2:1: not YAML: did not find expected ',' or ']' while parsing a flow sequence; it"
            " begins at line 1, column 4: close it, and put a text with any of { } [ ] , in quotes",
        ),
        (
            "a: {path: /{id}, b: c}",
            "gateway.yaml:1:12: not YAML: did not find expected ',' or '}' while parsing a flow mapping; it"
            " begins at line 1, column 4: close it, and put a text with any of { } [ ] , in quotes",
        ),
        (
            "a:\n  - b: 1\n    c: 2\n   d: 3",
            "gateway.yaml:4:4: not YAML: did not find expected '-' indicator while parsing a block"
            " collection; it begins at line 2, column 3: indent all that belongs to it alike",
        ),
        (
            "a: b: c",
            "gateway.yaml:1:5: not YAML: mapping values are not allowed in this context; put a text with `: `"
            " in it in quotes, and begin each key on a line of its own",
        ),
        ("\ta: 1", "gateway.yaml:1:1: not YAML: a tab; indent by spaces"),
        ("a:\n\t- b", "gateway.yaml:2:1: not YAML: a tab; indent by spaces"),
        (
            "a: @b",
            "gateway.yaml:1:4: not YAML: found character that cannot start any token while scanning for the"
            " next token; put the text in quotes",
        ),
        ("a: é\nb: \x01", "gateway.yaml:2:4: not YAML: control characters are not allowed"),
        ("a: *b", "gateway.yaml:1:4: the alias *b has no anchor"),
        ("a: &a [*a]", "gateway.yaml:1:8: the alias *a stands within its own anchor"),
        ("404: x", "gateway.yaml:1:1: the key 404 is not a string; put it in quotes"),
        ("? [a]\n: b", "gateway.yaml:1:3: the key this is not a string"),
        (
            "a: !!python/object:os.system x",
            "gateway.yaml:1:4: the tag tag:yaml.org,2002:python/object:os.system",
        ),
        ("a: !mine [1]", "gateway.yaml:1:4: the tag !mine is not supported"),
        ("a: !!int x", "gateway.yaml:1:4: 'x' does not fit its tag"),
        ("a: {<<: 1}", "gateway.yaml:1:5: `<<` merges mappings alone"),
    ],
)
def test_mistakes_are_named_where_they_stand(text: str, said: str) -> None:
    assert refused(text).startswith(said)


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    began = time.monotonic()
    assert "nested deeper than 64 levels" in refused(text)
    assert time.monotonic() - began < 2


def test_depth_counts_through_aliases() -> None:
    levels = ["a0: &a0 [" + "[" * 30 + "]" * 30 + "]"]
    levels += [f"a{i}: &a{i} [" + "[" * 30 + f"*a{i - 1}" + "]" * 30 + "]" for i in range(1, 4)]
    assert "nested deeper than 64 levels" in refused("\n".join(levels))


def test_aliases_cannot_fill_the_memory() -> None:
    laughs = ["a0: &a0 [" + ", ".join("x" * 10) + "]"]
    laughs += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]" for i in range(1, 10)]
    assert f"aliases expand to more than {LARGEST} values" in refused("\n".join(laughs))
