"""Which room may know which: read from import and cimport lines, so that no shortcut slips in."""

from pathlib import Path

import pytest

from tests.meta.source import files, imports, module, name

# The compiled plane, floor by floor, lowest first. A room is a folder, or a module that stands by itself.
# Rooms of one floor do not see each other.
FLOORS: list[set[str]] = [
    {"reactor", "buffer", "memo", "lifetime", "resident", "routing"},
    {"stream", "shared"},
    {"net", "telemetry"},
    {"exchange"},
    {"policy", "body", "relay", "proxy_protocol"},
    {"http"},
    {"stages", "upstreams", "limiting", "identity"},
    {"accept", "memory", "caching", "code"},
    {"downstream"},
]
POLICIES_SEE = {
    "reactor",
    "buffer",
    "memo",
    "exchange",
    "policy",
    "body",
    "identity",
    "http",
    "shared",
    "limiting",
    "caching",
    "routing.path",
    "net.cidr",
    "telemetry.counters",
    "upstreams.call",
    "upstreams.copies",
    "code.surface",
    "code.json_edit",
    "code.json_rules",
}
# What the Structs of their settings are made of, and what does the work that is not every request's.
POLICIES_TAKE = (
    "tetrapylon.changes",
    "tetrapylon.codings",
    "tetrapylon.config.amounts",
    "tetrapylon.config.changes",
    "tetrapylon.config.model",
    "tetrapylon.config.net",
    "tetrapylon.config.schemas",
    "tetrapylon.config.secrets",
    "tetrapylon.config.units",
    "tetrapylon.identity",
    "tetrapylon.quota_file",
    "tetrapylon.redis_store",
    "tetrapylon.validation",
)

# The Python side: room -> rooms it must not know. Room `a` covers the module `a` and all below it.
FORBIDDEN: dict[str, set[str]] = {
    "errors": {"*"},
    "_version": {"*"},
    "catalog": {"cli", "supervise", "worker", "compile", "control", "admin", "config"},
    "config": {"cli", "supervise", "worker", "compile", "control", "admin"},
    "audit": {"cli", "supervise", "worker", "compile", "control", "admin", "_core"},
    "migrate": {"cli", "supervise", "worker", "compile", "control", "admin", "config", "_core"},
    "apps": {"cli", "supervise", "worker", "compile", "control", "admin", "works", "_core"},
    "assess": {"cli", "supervise", "worker", "compile", "control", "admin", "_core"},
    "compile": {"cli", "supervise", "worker", "control", "admin"},
    "control": {"cli", "supervise", "worker", "compile", "_core"},
    "admin": {"cli", "supervise", "worker", "compile", "_core"},
    "worker": {"cli", "supervise"},
    "works": {"cli", "supervise", "worker", "compile", "control", "admin"},
    "renew": {"cli", "supervise", "worker", "compile", "control", "admin"},
    "reload": {"cli", "supervise", "worker", "compile", "control", "admin"},
    "channel": {"cli", "supervise", "worker", "compile", "control", "admin", "config", "_core"},
    "slots": {"cli", "supervise", "worker", "compile", "control", "admin", "_core"},
    "supervise": {"cli"},
    "plugin": {"cli", "supervise", "worker", "compile", "control", "admin", "config"},
    "handler": {"cli", "supervise", "worker", "compile", "control", "admin", "config"},
    "discovery": {"cli", "supervise", "worker", "compile", "control", "admin", "_core"},
    "identity": {"cli", "supervise", "worker", "compile", "control", "admin", "catalog"},
}

CORE = "tetrapylon._core."
compiled = [
    path for path in files(".pyx", ".pxd") if path.stem != "__init__" and name(path).startswith("ext/")
]
python = [path for path in files(".py") if name(path).startswith("src/")]


def visible(room: str) -> set[str]:
    """The rooms that one of them may see: those of the floors below, and itself.

    Raises:
        LookupError: it stands on no floor.
    """
    below: set[str] = set()
    for floor in FLOORS:
        if room in floor:
            return below | {room}
        below |= floor
    raise LookupError(f"{room} has no floor yet: say in this file which it is")


@pytest.mark.parametrize("path", compiled, ids=name)
def test_compiled_rooms_see_only_the_floors_below(path: Path) -> None:
    own = module(path)
    targets = {target for target in imports(path) if target != own}
    outside = {target for target in targets if not target.startswith(CORE)}
    if own.startswith(f"{CORE}policies."):
        outside = {target for target in outside if not target.startswith(POLICIES_TAKE)}
    assert outside <= {"tetrapylon.errors"}, f"_core imports nothing of the Python side but errors: {outside}"
    seen = {target.removeprefix(CORE) for target in targets if target.startswith(CORE)}

    if own.startswith(f"{CORE}policies."):
        seen = {target for target in seen if target.partition(".")[0] not in POLICIES_SEE}
        assert seen <= POLICIES_SEE, f"a policy sees only {sorted(POLICIES_SEE)}"
        return
    assert not any(target.startswith("policies") for target in seen), (
        "policies are leaves: nobody cimports one"
    )
    room = own.removeprefix(CORE).partition(".")[0]
    unseen = {target for target in seen if target.partition(".")[0] not in visible(room)}
    assert not unseen, f"{room} must not see {sorted(unseen)}"


def test_compiled_modules_do_not_import_each_other_in_a_ring() -> None:
    graph: dict[str, set[str]] = {}
    for path in compiled:
        own = module(path)
        graph.setdefault(own, set()).update(target for target in imports(path) if target != own)
    assert_acyclic(graph)


@pytest.mark.parametrize("path", python, ids=name)
def test_python_rooms_keep_their_direction(path: Path) -> None:
    own = module(path).split(".")[1:] or ["__init__"]
    forbidden = FORBIDDEN.get(own[0], set())
    for target in imports(path):
        other = (target.split(".")[1:] or ["__init__"])[0]
        if other == own[0]:
            continue
        assert not forbidden & {other, "*"}, f"{own[0]} must not import {target}"
        if own[0] not in ("cli", "__main__"):
            assert other != "cli", f"nobody but the command line imports {target}"


def test_every_rule_is_about_a_room_of_the_architecture() -> None:
    known = {"cli", "supervise", "worker", "compile", "config", "catalog", "control", "admin", "_core"}
    known |= {"works", "renew", "reload", "channel", "slots"}
    known |= {
        "errors",
        "_version",
        "plugin",
        "handler",
        "identity",
        "audit",
        "discovery",
        "apps",
        "migrate",
        "assess",
    }
    assert set(FORBIDDEN) | set().union(*FORBIDDEN.values()) - {"*"} <= known


def assert_acyclic(graph: dict[str, set[str]]) -> None:
    done: set[str] = set()

    def visit(node: str, trail: tuple[str, ...]) -> None:
        assert node not in trail, " -> ".join([*trail[trail.index(node) :], node])
        if node not in done:
            for target in graph.get(node, ()):
                visit(target, (*trail, node))
            done.add(node)

    for node in graph:
        visit(node, ())
