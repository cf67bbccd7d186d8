"""The JSON Schema and the reference say what the reader does."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.config.full import FULL
from tests.config.test_every_key import NAMED, RANGES, TYPED, at, wrong_type
from tests.config.test_loading import YAML
from tetrapylon.cli.init import STARTER
from tetrapylon.config import shape
from tetrapylon.config.reference import reference
from tetrapylon.config.schema import schema

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


@pytest.fixture
def validator(traceparent: None) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema())


def test_it_is_a_schema(policies: None) -> None:
    jsonschema_rs.meta.validate(schema())
    json.dumps(schema())


def test_takes_what_init_writes() -> None:
    jsonschema_rs.Draft202012Validator(schema()).validate(yaml.safe_load(STARTER))


@pytest.mark.parametrize("config", [FULL, yaml.safe_load(YAML), {}])
def test_takes_what_the_reader_takes(validator: jsonschema_rs.Draft202012Validator, config: Any) -> None:
    validator.validate(config)


def test_takes_references_where_a_number_stands(validator: jsonschema_rs.Draft202012Validator) -> None:
    validator.validate({"server": {"workers": "${N}", "limits": {"body": "${B:-1MiB}"}}})


@pytest.mark.parametrize("name", TYPED)
def test_refuses_unknown_keys_and_wrong_types(
    validator: jsonschema_rs.Draft202012Validator, name: str
) -> None:
    path, place = NAMED[name]
    config = deepcopy(FULL)
    if not isinstance(place, shape.Anything):
        at(config, path[:-1])[path[-1]] = wrong_type(place)
        # Some strings only `check` can judge: paths, names of upstreams.
        assert not validator.is_valid(config)
    config = deepcopy(FULL)
    parent = at(config, path[:-1])
    if ":" in str(parent.get("use", "")):
        return  # what a plugin takes is known to its own code
    parent[f"{path[-1]}zz"] = parent.pop(path[-1])
    assert not validator.is_valid(config)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, value in RANGES if isinstance(value, (int, float))]
)
def test_refuses_numbers_out_of_range(
    validator: jsonschema_rs.Draft202012Validator, name: str, value: float
) -> None:
    path, _ = NAMED[name]
    config = deepcopy(FULL)
    at(config, path[:-1])[path[-1]] = value
    assert not validator.is_valid(config)


def test_every_key_is_described() -> None:
    for name, definition in schema()["$defs"].items():
        assert definition["description"], name
        for key, described in definition.get("properties", {}).items():
            assert described["description"].endswith("."), f"{name}.{key}"


def test_defaults_are_written_as_a_file_has_them() -> None:
    definitions = schema()["$defs"]
    assert definitions["ServerTimeouts"]["properties"]["header"]["default"] == "10s"
    assert definitions["ServerLimits"]["properties"]["header_bytes"]["default"] == "32KiB"
    assert definitions["ServerLimits"]["properties"]["body"]["default"] == "none"
    assert definitions["Server"]["properties"]["listen"]["default"] == ["127.0.0.1:8080"]


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), (
        "run: tetrapylon schema --format markdown > docs/reference.md"
    )


def test_the_reference_has_every_policy(policies: None) -> None:
    page = reference()
    assert "## Policy `probe`\n\nSettings with one of each kind.\n" in page
    assert "| `rate` | a rate | `100/s` |  |" in page
    assert "## Policy `plain`\n\nA policy without settings, in tests.\n\nIt has no settings." in page
