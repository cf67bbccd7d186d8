"""Fields of the gateway's own answers that belong to a connection."""

import pytest

from tetrapylon.config import loads
from tetrapylon.errors import ConfigError


def problems(respond: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        loads(f"routes: [{{path: /, respond: {respond}}}]", "g.yaml")
    return [f"{problem.path}: {problem.message}" for problem in refused.value.problems]


def test_426_says_what_to_upgrade_to() -> None:  # RFC 9110, 15.5.22
    loads("routes: [{path: /, respond: {status: 426, headers: {upgrade: TLS/1.2}}}]", "g.yaml")
    assert problems("{status: 426}") == ["routes[0].respond.status: 426 has to say what to upgrade to"]


def test_nothing_else_does() -> None:
    (problem,) = problems("{headers: {Upgrade: h2c}}")
    assert problem == "routes[0].respond.headers.Upgrade: the gateway sets Upgrade itself"
