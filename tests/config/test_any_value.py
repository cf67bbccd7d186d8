"""Whatever stands in a config, it is taken, or refused with the place and a hint: never a traceback."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
import yaml

from tests.config import conftest
from tests.config.full import FULL
from tetrapylon import catalog
from tetrapylon.config import decode, encode
from tetrapylon.config.diff import Changes, differences
from tetrapylon.config.loading import loads
from tetrapylon.config.mask import masked
from tetrapylon.config.model import Config
from tetrapylon.config.tree import Path, render_path
from tetrapylon.errors import ConfigError

EXAMPLES = FilePath(__file__).parents[2] / "examples" / "policies"

VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, -(2**63), 1.5, 1e308, float("inf"), float("nan")),
    *("", " ", "\0", "a\0b", "\r\nX: y", "\x1b[2J", "\u2028", "\xe9", "\u65e5\u672c", "\ud800", "a" * 70_000),
    *("-", "*", "{", "{a:int}", "${", "none", "1s", "99999999999d", "0%", "1000000000000TiB", "0/s"),
    *("http://", "http://[", "http://a:99999", "http://\xe9:1", f"http://{'a' * 70}.x:1", "unix:/a\0"),
    *("redis://h/x", "redis://[", "(?P<x", "$[", "/a/../b", "/%zz", "/{x}/{x}", "no.no:x", ":", "sha256:zz"),
    *([], {}, [None], [[]], [{}], {"": ""}, {"\0": None}, {"\ud800": 1}, ["x"] * 2, [{"use": "no"}]),
)  # fmt: skip
STEP = 32
"""Each place is given every so manieth of them, beginning with another: all together take minutes."""


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    for step, each in inner:
        yield from places(each, (*path, step))


def put(config: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(config)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return changed


def look(config: Any) -> None:
    """Asserts that it is refused as it should be, or is whole."""
    try:
        taken = loads(json.dumps(config), "gateway.json")
    except ConfigError as refused:
        problems = refused.problems
    else:
        assert_whole(taken)
        return
    assert problems
    for problem in problems:
        assert problem.line is not None, f"it is not said where: {problem}"
        assert str(problem).isprintable(), f"it is more than a line: {problem}"


def assert_whole(taken: Config) -> None:
    again = decode(encode(taken))
    assert masked(again) == masked(taken)
    changes = differences(taken, again)
    assert changes == Changes()


CASES = [
    *(("full", FULL, path) for path in places(FULL)),
    *(
        (file.stem, config, path)
        for file in sorted(EXAMPLES.glob("*.yaml"))
        for config in (yaml.safe_load(file.read_text(encoding="utf-8")),)
        for path in places(config)
    ),
]


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=[f"{name}-{render_path(path)}" for name, _, path in CASES]
)
def test_it_is_taken_or_refused_with_its_place(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = {"probe": f"{conftest.__name__}:Probe", "plain": f"{conftest.__name__}:Plain"}
    monkeypatch.setattr(catalog, "POLICIES", {**catalog.POLICIES, **probes})
    _, config, path = CASES[number]
    for value in VALUES[number % STEP :: STEP]:
        look(put(config, path, value))
