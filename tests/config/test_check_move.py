"""What a move must mean: every mistake at its place, with what to do instead."""

import pytest

from tetrapylon.config import loads
from tetrapylon.errors import ConfigError

HEAD = (
    "admin: {listen: '127.0.0.1:0'}\n"
    "upstreams: {u: {targets: ['http://127.0.0.1:1']}, v: {targets: ['http://127.0.0.1:2']},"
    " x: {targets: ['http://127.0.0.1:3']}}\n"
)


def refused(route: str, head: str = HEAD) -> dict[str, str]:
    with pytest.raises(ConfigError) as error:
        loads(f"{head}routes: [{{path: /, {route}}}]\n", "g.yaml")
    return {
        problem.path.removeprefix("routes[0]."): f"{problem.message}; {problem.hint}"
        for problem in error.value.problems
    }


@pytest.mark.parametrize(
    ("route", "path", "word"),
    [
        ("upstream: u, move: {}", "move", "does not say where to; give it `to`"),
        ("upstream: u, move: {to: w}", "move.to", "there is no upstream 'w'"),
        ("upstream: u, move: {to: u}", "move.to", "u is where the route leads already"),
        ("upstream: u, shadow: {to: v}, move: {to: x}", "move.to", "the route's shadow leads to v"),
        ("respond: {}, move: {to: v}", "move", "there is no one upstream that it could move away from"),
        (
            "upstream: u, move: {to: v, when: {}}",
            "move.when",
            "nothing is compared on a route without a shadow",
        ),
        ("upstream: u, move: {to: v, approve: never}", "move.approve", "it would begin at once"),
        ("upstream: u, move: {to: v, approve: always}", "move.approve", "expected each, first or never"),
        ("upstream: u, move: {to: v, steps: []}", "move.steps", ""),
        ("upstream: u, move: {to: v, steps: [10%, 5%]}", "move.steps", "do not rise"),
        ("upstream: u, move: {to: v, steps: [0%, 5%]}", "move.steps", "do not rise"),
        ("upstream: u, move: {to: v, steps: [10]}", "move.steps[0]", ""),
        (
            "upstream: u, shadow: {to: v}, move: {when: {different: few}}",
            "move.when.different",
            "such as <0.01%",
        ),
        ("upstream: u, shadow: {to: v}, move: {when: {different: <0%}}", "move.when.different", "below 0%"),
        ("upstream: u, move: {to: v, rollback: {p95: slow}}", "move.rollback.p95", "such as +20%"),
        ("upstream: u, move: {to: v, rollback: {errors: -1%}}", "move.rollback.errors", "such as +20%"),
    ],
)
def test_what_cannot_be(route: str, path: str, word: str) -> None:
    found = refused(route)
    assert list(found) == [path]
    assert word in found[path]


def test_somebody_has_to_take_the_steps() -> None:
    found = refused("upstream: u, move: {to: v}", HEAD.partition("\n")[2])
    assert "give the config an `admin` address" in found["move"]


def test_bounds_are_written_as_people_say_them() -> None:
    route = (
        "upstream: u, shadow: {to: v}, move: {when: {different: <0.5%}, rollback: {errors: none, p95: +150%}}"
    )
    (move,) = [each.move for each in loads(f"{HEAD}routes: [{{path: /, {route}}}]\n", "g.yaml").routes]
    assert move is not None
    assert move.when is not None
    assert (move.when.different, move.rollback.errors, move.rollback.p95) == (0.005, None, 1.5)
