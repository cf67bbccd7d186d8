"""TOML: tomllib's values, with places."""

import tomllib

import pytest

from tests.config.test_read_yaml import plain
from tetrapylon.config.read_toml import parse
from tetrapylon.config.tree import Document, Path
from tetrapylon.errors import ConfigError

TEXT = '''\
# a comment [with.brackets]
title = "a # b" # c
"quoted \\u00e9" = 'lit\\eral'
a.b . c = 1

[server]
listen = [ # the addresses
  "127.0.0.1:1", # ]
  '[::1]:2',
]
limits = { body = "1MiB", "x.y" = [1, [2, 3]], deep.er = true }
when = 1979-05-27 07:32:00
text = """
[not.a.table] ""
x = 1"""""
raw = \'\'\'
'quoted' \'\'\'

[[routes]]
path = "/a"
[routes.respond]
status = 200
[[routes]]
path = "/b"
[[routes.policies]]
use = "x"
[[routes.policies]]
use = "y"
'''


def places(document: Document, path: Path = ()) -> None:
    """Asserts that every value and every key has a place."""
    node = document.find(path)
    assert node.mark is not None, path
    if isinstance(node.value, dict):
        assert node.keys is not None
        assert node.keys.keys() == node.value.keys(), path
        for key in node.value:
            places(document, (*path, key))
    elif isinstance(node.value, list):
        for index in range(len(node.value)):
            places(document, (*path, index))


def test_values_are_tomllibs() -> None:
    assert plain(parse(TEXT, "gateway.toml").root) == tomllib.loads(TEXT)


def test_every_value_and_key_has_a_place() -> None:
    places(parse(TEXT, "gateway.toml"))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("title",), (2, 1), (2, 9)),
        (("quoted é",), (3, 1), (3, 19)),
        (("a", "b", "c"), (4, 7), (4, 11)),
        (("server", "listen", 1), None, (9, 3)),
        (("server", "limits", "x.y", 1, 1), None, (11, 43)),
        (("server", "limits", "deep", "er"), (11, 53), (11, 58)),
        (("routes", 0, "respond", "status"), (22, 1), (22, 10)),
        (("routes", 1, "path"), (24, 1), (24, 8)),
        (("routes", 1, "policies", 1, "use"), (28, 1), (28, 7)),
    ],
)
def test_places_are_right(
    newline: str, path: Path, key: tuple[int, int] | None, value: tuple[int, int]
) -> None:
    document = parse(TEXT.replace("\n", newline), "gateway.toml")
    assert document.place(path).mark == value
    if key:
        assert document.place(path, key=True).mark == key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "gateway.toml: the file is empty"),
        ("# nothing", "gateway.toml: the file is empty"),
        ("a = 1\na = 2", "gateway.toml:2:6: not TOML: cannot overwrite a value"),
        ("a = ", "gateway.toml:1:5: not TOML: invalid value at the end of the file"),
        ("a = yes", "gateway.toml:1:5: not TOML: invalid value"),
        ("a = " + "[" * 100_000, "gateway.toml: nested deeper than 64 levels"),
        ("a = " + "[" * 100 + "]" * 100, "gateway.toml: nested deeper than 64 levels"),
    ],
)
def test_mistakes_are_named_where_they_stand(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "gateway.toml")
    assert str(error.value).startswith(said)
