"""Each key of the model, misspelt, mistyped and out of range, in each format: a message at its place.

The cases are derived from the model, so a key that is added is tested by having been added.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml

from tests.config.conftest import ProbeSettings
from tests.config.full import FULL
from tetrapylon.config import loads, shape
from tetrapylon.config.model import Config, PluginOptions
from tetrapylon.config.policies import PolicySection
from tetrapylon.config.tree import Path, render_path
from tetrapylon.errors import ConfigError, Problem

pytestmark = pytest.mark.usefixtures("policies", "traceparent", "validate")

WORD = "wrongwrong"
NUMBER = 987654321


def to_toml(value: Any) -> str:
    """TOML with one inline value for each key of the top level, which the tests need no more than."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {to_toml(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(to_toml(child) for child in value) + "]"
    return json.dumps(value)


WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "yaml": lambda config: yaml.safe_dump(config, sort_keys=False, width=1000),
    "json": lambda config: json.dumps(config, indent=1),
    "toml": lambda config: "\n".join(f"{key} = {to_toml(value)}" for key, value in config.items()),
}


def at(config: Any, path: Path) -> Any:
    for step in path:
        config = config[step]
    return config


def fields(place: shape.Shape, path: Path, value: Any) -> Iterator[tuple[Path, shape.Shape]]:
    """Every key of FULL with its shape, all sections that it mentions included."""
    match place:
        case PolicySection():
            yield (*path, "use"), place.fields["use"].shape
            if ":" in value["use"]:
                for name, field in shape.section(PluginOptions).fields.items():
                    yield (*path, name), field.shape
            if value["use"] == "probe":
                for name, field in shape.section(ProbeSettings).fields.items():
                    yield (*path, name), field.shape
        case shape.Section():
            for name, field in place.fields.items():
                if name in value:
                    yield (*path, name), field.shape
                    yield from fields(field.shape, (*path, name), value[name])
        case shape.Optional():
            yield from fields(place.inner, path, value)
        case shape.OneOf():
            for one in place.shapes:
                if type(value) in one.kinds:
                    yield from fields(one, path, value)
        case shape.Items():
            for index, item in enumerate(value):
                yield from fields(place.item, (*path, index), item)
        case shape.Mapping():
            for name, item in value.items():
                yield from fields(place.value, (*path, name), item)


def sections(place: shape.Shape) -> Iterator[shape.Section]:
    match place:
        case shape.Section():
            yield place
            for field in place.fields.values():
                yield from sections(field.shape)
        case shape.Optional():
            yield from sections(place.inner)
        case shape.OneOf():
            for one in place.shapes:
                yield from sections(one)
        case shape.Items():
            yield from sections(place.item)
        case shape.Mapping():
            yield from sections(place.value)


CASES = list(fields(shape.section(Config), (), FULL))
NAMED = {render_path(path): (path, place) for path, place in CASES}
# Of what may be anything, nothing is mistyped.
TYPED = [name for name, (_, place) in NAMED.items() if not isinstance(place, shape.Anything)]


def problems(config: dict[str, Any], suffix: str) -> tuple[str, list[Problem]]:
    text = WRITERS[suffix](config)
    with pytest.raises(ConfigError) as error:
        loads(text, f"gateway.{suffix}")
    return text, error.value.problems


def place_of(text: str, word: str) -> tuple[int, int]:
    """Line and column of the one value or key that is `word`, with its quotes."""
    offset = text.index(word)
    assert text.count(word) == 1
    if text[offset - 1] in "\"'":
        offset -= 1
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def test_the_whole_model_is_covered() -> None:
    covered = {(path[-1], place) for path, place in CASES if isinstance(path[-1], str)}
    for section in sections(shape.section(Config)):
        if isinstance(section, PolicySection):
            continue
        for name, field in section.fields.items():
            assert (name, field.shape) in covered, f"{section.cls.__name__}.{name} is not in FULL"


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_whole_config_is_fine(suffix: str) -> None:
    config = loads(WRITERS[suffix](FULL), f"gateway.{suffix}")
    assert config.routes[1].timeouts.total == 4.0
    assert config.policies[0].settings == {
        "key": "client",
        "rate": 5.0,
        "window": 2.0,
        "burst": 7,
        "dry": True,
    }


@pytest.mark.parametrize("suffix", WRITERS)
# Without `use` there is no telling what the other keys are.
@pytest.mark.parametrize("name", [name for name in NAMED if not name.endswith(".use")])
def test_a_misspelt_key_is_named_with_its_right_spelling(name: str, suffix: str) -> None:
    path, _ = NAMED[name]
    config = deepcopy(FULL)
    parent = at(config, path[:-1])
    key = str(path[-1])
    wrong = f"{key}zz" if len(key) > 3 else f"{key}z"
    renamed = {wrong if each == key else each: value for each, value in parent.items()}
    parent.clear()
    parent.update(renamed)
    text, found = problems(config, suffix)
    unknown = [problem for problem in found if problem.message == "unknown key"]
    assert [problem.path for problem in unknown] == [render_path((*path[:-1], wrong))]
    assert unknown[0].hint == f"did you mean `{key}`?"
    assert (unknown[0].line, unknown[0].column) == place_of(text, wrong)


def wrong_type(place: shape.Shape) -> Any:
    inner = place.inner if isinstance(place, shape.Optional) else place
    text = isinstance(inner, shape.Text) or (isinstance(inner, shape.Section) and inner.shorthand)
    return NUMBER if text else WORD


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", TYPED)
def test_a_mistyped_value_is_named_with_what_was_expected(name: str, suffix: str) -> None:
    path, place = NAMED[name]
    config = deepcopy(FULL)
    wrong = wrong_type(place)
    at(config, path[:-1])[path[-1]] = wrong
    text, found = problems(config, suffix)
    (problem,) = [problem for problem in found if problem.path == render_path(path)]
    assert place.secret or str(wrong) in problem.message or "out of range" in problem.message
    assert not (place.secret and str(wrong) in str(problem))
    assert "expected" in problem.message or "expected" in problem.hint or "did you mean" in problem.hint
    assert (problem.line, problem.column) == place_of(text, str(wrong))


def beyond(place: shape.Shape) -> Iterator[Any]:
    """Values of the right type that are not allowed."""
    match place:
        case shape.Optional():
            yield from beyond(place.inner)
        case shape.OneOf():
            yield from (value for one in place.shapes for value in beyond(one))
        case shape.Number():
            with_unit = place.scalar is not None and not place.scalar.numbers
            write = place.scalar.format if place.scalar and with_unit else lambda value: value
            if place.most is not None:
                yield write(place.most * 2 + 1)
            if place.least is not None and not with_unit:
                yield place.least - 1
            elif place.least:
                yield write(place.least / 2)
        case shape.Text():
            if place.scalar is not None:
                yield "not\tvalid:\r\n"
            if place.at_least or place.scalar is not None:
                yield ""
        case shape.Choice():
            yield WORD
        case shape.Items() if place.at_least:
            yield []


def allowed(path: Path, value: Any) -> bool:
    # An empty header value is a value (RFC 9110, 5.5), and no header value here but these may be empty.
    return value == "" and path[-1] in ("X-Tenant", "X-A", "attributes")


RANGES = [
    (render_path(path), value) for path, place in CASES for value in beyond(place) if not allowed(path, value)
]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(("name", "value"), RANGES)
def test_a_value_beyond_its_range_is_named_with_the_range(name: str, value: Any, suffix: str) -> None:
    path, _ = NAMED[name]
    config = deepcopy(FULL)
    at(config, path[:-1])[path[-1]] = value
    text, found = problems(config, suffix)
    (problem,) = [problem for problem in found if problem.path == render_path(path)]
    assert "expected" in problem.message or problem.hint
    assert problem.line is not None
    assert problem.column is not None
    before, after = (
        (line := text.splitlines()[problem.line - 1])[: problem.column - 1],
        line[problem.column - 1 :],
    )
    assert after.startswith(("'", '"', str(value) or "'"))
    assert str(path[-1]) in before


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    ("path", "key"),
    [
        (("server", "listen", 0), "address"),
        (("upstreams", "users", "targets", 0), "url"),
        (("upstreams", "users"), "targets"),
        (("routes", 1), "path"),
        (("routes", 3, "redirect"), "to"),
        (("policies", 0), "use"),
        (("policies", 0), "key"),
    ],
)
def test_a_missing_key_is_named(path: Path, key: str, suffix: str) -> None:
    config = deepcopy(FULL)
    del at(config, path)[key]
    _, found = problems(config, suffix)
    missing = [problem for problem in found if problem.message == f"`{key}` is missing"]
    assert [problem.path for problem in missing] == [render_path(path)]
    assert missing[0].line is not None
    assert missing[0].hint.startswith("expected")


def test_all_problems_are_reported_at_once() -> None:
    config = deepcopy(FULL)
    for path, place in CASES:
        holder = at(config, path[:-1])
        if isinstance(holder, dict) and not isinstance(holder.get(path[-1]), (dict, list)):
            holder[path[-1]] = wrong_type(place)
    _, found = problems(config, "yaml")
    named = {problem.path for problem in found}
    for path, _ in CASES:
        value = at(config, path)
        if not isinstance(value, (dict, list)) and ("policies" not in path or path[-1] == "use"):
            assert render_path(path) in named
