"""The examples of `docs/policies.md`, served: each request in the first lines gets the answer told there.

A line is `# METHOD TARGET [FIELD: VALUE] -> STATUS [FIELD: VALUE]`; the value `*` means any.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.harness import Client, Gateway, Upstream, answers
from tetrapylon import catalog

FOLDER = Path(__file__).parents[2] / "examples" / "policies"
UPSTREAM = "http://127.0.0.1:9000"
SAID = re.compile(
    r"# (?P<method>[A-Z]+) (?P<target>\S+)(?: (?P<sent>[\w-]+: .+?))?"
    r" -> (?P<status>\d+)(?: (?P<told>[\w-]+: .+))?"
)


class Step(NamedTuple):
    method: str
    target: str
    sent: list[tuple[str, str]]
    status: int
    told: list[tuple[str, str]]


def field(text: str | None) -> list[tuple[str, str]]:
    name, _, value = (text or "").partition(": ")
    return [(name, value)] if text else []


def steps(text: str) -> list[Step]:
    found = []
    for line in text.split("\n\n")[0].splitlines():
        said = SAID.fullmatch(line)
        assert said is not None, f"not a request and its answer: {line}"
        found.append(
            Step(
                said["method"], said["target"], field(said["sent"]), int(said["status"]), field(said["told"])
            )
        )
    return found


def test_every_example_is_of_a_policy() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} <= set(catalog.POLICIES)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_does_what_it_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert f"use: {path.stem}" in text
    with Upstream(answers.echo) as upstream:
        config = text.replace(UPSTREAM, upstream.url)
        with Gateway(config + '\nserver: {listen: ["127.0.0.1:0"]}\n') as gateway:
            for step in steps(text):
                with Client(gateway.address) as client:
                    answer = client.ask(step.method, step.target, step.sent)
                assert answer.status == step.status, step
                for name, value in step.told:
                    assert answer.headers.has(name), step
                    assert value in ("*", answer.headers.get(name)), (step, answer.headers)
