"""Which room may know which: read from import and cimport lines, so that no shortcut slips in."""

from pathlib import Path

import pytest

from tests.meta.source import ROOT, files, imports, module, name

# The compiled plane, floor by floor, lowest first. A room is a folder, or a module that stands by itself.
# Rooms of one floor do not see each other.
FLOORS: list[set[str]] = [
    {"reactor", "buffer", "memo", "lifetime", "resident", "routing"},
    {"stream", "shared"},
    {"net", "telemetry"},
    {"exchange"},
    {"policy", "body", "relay", "proxy_protocol"},
    {"http"},
    {"access_record"},
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
    "tetrapylon.messages.changes",
    "tetrapylon.messages.codings",
    "tetrapylon.config.amounts",
    "tetrapylon.config.changes",
    "tetrapylon.config.model",
    "tetrapylon.config.net",
    "tetrapylon.config.schemas",
    "tetrapylon.config.secrets",
    "tetrapylon.config.units",
    "tetrapylon.identity",
    "tetrapylon.stores.quota_file",
    "tetrapylon.stores.redis",
    "tetrapylon.messages.validation",
)

# The Python side: what stands by itself. All else is in a room, which is a folder.
TOP = {"__init__", "__main__", "_version", "errors"} | {"app", "embed", "handler", "plugin", "testing"}
TOP |= {"catalog", "compile", "works", "worker", "plan", "supervise"}

# Room -> rooms it must not know. `a` covers the module `a` and all below it; `a.b` adds to it for that one.
ABOVE = {"cli", "supervise", "worker", "compile", "control", "admin"}
FORBIDDEN: dict[str, set[str]] = {
    "errors": {"*"},
    "_version": {"*"},
    "telemetry.events": {"*"},
    "catalog": ABOVE | {"config"},
    "config": ABOVE,
    "audit": ABOVE | {"_core"},
    "migrate": ABOVE | {"config", "_core"},
    "apps": ABOVE | {"works", "_core"},
    "assess": ABOVE | {"_core"},
    "diff": ABOVE | {"works", "_core"},
    "moving": ABOVE | {"works", "config", "_core"},
    "compile": ABOVE - {"compile"},
    "works": ABOVE,
    "control": {"cli", "supervise", "worker", "compile", "_core"},
    "admin": {"cli", "supervise", "worker", "compile", "_core"},
    "worker": {"cli", "supervise"},
    "processes": ABOVE | {"works"},
    "processes.channel": ABOVE | {"works", "config", "_core"},
    "processes.slots": ABOVE | {"works", "_core"},
    "net": ABOVE | {"works"},
    "telemetry": ABOVE | {"works"},
    "upstreams": ABOVE | {"works"},
    "destinations": ABOVE | {"works"},
    "code": ABOVE | {"works"},
    "messages": ABOVE | {"works"},
    "recording": ABOVE | {"works"},
    "stores": ABOVE | {"works", "_core"},
    "supervise": {"cli"},
    "plugin": ABOVE | {"config"},
    "handler": ABOVE | {"config"},
    "discovery": ABOVE | {"_core"},
    "identity": ABOVE | {"catalog"},
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
    forbidden = FORBIDDEN.get(own[0], set()) | FORBIDDEN.get(".".join(own[:2]), set())
    for target in imports(path):
        other = (target.split(".")[1:] or ["__init__"])[0]
        if other == own[0]:
            continue
        assert not forbidden & {other, "*"}, f"{own[0]} must not import {target}"
        if own[0] not in ("cli", "__main__"):
            assert other != "cli", f"nobody but the command line imports {target}"


def test_at_the_top_stands_what_the_architecture_names() -> None:
    """A new module has a room, or makes one: a list that grows tells a newcomer less with each line."""
    assert {path.stem for path in python if path.parent.name == "tetrapylon"} == TOP


def test_every_rule_is_about_a_room_that_there_is() -> None:
    known = {"_core"} | {module(path).removeprefix("tetrapylon.") for path in python}
    assert set(FORBIDDEN) | set().union(*FORBIDDEN.values()) - {"*"} <= known


def test_every_room_is_told_of() -> None:
    told = ROOT.joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
    compiled_rooms = {
        module(path).split(".")[2] for path in compiled if len(path.relative_to(ROOT).parts) > 4
    }
    python_rooms = {module(path).split(".")[1] for path in python if path.parent.name != "tetrapylon"}
    rooms = (compiled_rooms | python_rooms) - {"_core"}
    missing = {room for room in rooms if f"| `{room}/` |" not in told}
    assert not missing, f"CONTRIBUTING.md has a table of rooms, and does not tell of {sorted(missing)}"


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
