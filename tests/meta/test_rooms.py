"""Which room may know which: read from import and cimport lines, so that no shortcut slips in."""

import re
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

# The Python side, floor by floor, likewise: a room is a folder, or a module at the top. A name with a dot is
# a part of a room that stands lower than the rest of it, and that so much may know.
PYTHON_FLOORS: list[set[str]] = [
    {"errors", "_version", "telemetry.events", "processes.channel"},
    {"__init__", "_core", "code.load", "code.shapes", "stores"},
    {"config.words", "handler", "plugin", "moving", "assess", "migrate"},
    {"telemetry", "net", "messages", "discovery", "upstreams"},
    {"identity", "diff"},
    {"destinations"},
    {"code", "catalog"},
    {"config"},
    {"processes", "admin", "audit", "app"},
    {"apps", "recording"},
    {"works", "control"},
    {"compile"},
    {"serving", "embed", "testing"},
    {"worker"},
    {"plan"},
    {"supervise"},
    {"cli"},
    {"__main__"},
]
# What a config is made of, for those who are given a part of one. The rest of its room reads, checks and
# shows whole ones, for which it asks those who know what the parts mean.
WORDS = {
    "amounts",
    "changes",
    "edits",
    "formats",
    "json_path",
    "model",
    "net",
    "read_json",
    "read_toml",
    "read_yaml",
    "schemas",
    "secrets",
    "shape",
    "template",
    "tree",
    "units",
    "wire",
}
# These do without the compiled plane.
WITHOUT_CORE = {"errors", "_version", "telemetry.events", "processes.channel", "processes.slots"}
WITHOUT_CORE |= {
    "admin",
    "apps",
    "assess",
    "audit",
    "control",
    "diff",
    "discovery",
    "migrate",
    "moving",
    "stores",
}

CORE = "tetrapylon._core."
NAME = re.compile(r"`([\w./]+)`")
compiled = [
    path for path in files(".pyx", ".pxd") if path.stem != "__init__" and name(path).startswith("ext/")
]
python = [path for path in files(".py") if name(path).startswith("src/")]


def python_room(target: str) -> str:
    """Of a module on the Python side, as PYTHON_FLOORS calls it."""
    inside = target.split(".")[1:] or ["__init__"]
    if inside[0] == "config" and inside[1:] and inside[1] in WORDS:
        return "config.words"
    part = ".".join(inside[:2])
    return part if any(part in floor for floor in PYTHON_FLOORS) else inside[0]


def visible(room: str, floors: list[set[str]] = FLOORS) -> set[str]:
    """The rooms that one of them may see: those of the floors below, and itself.

    Raises:
        LookupError: it stands on no floor.
    """
    below: set[str] = set()
    for floor in floors:
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


def test_shared_memory_is_mapped_in_one_place() -> None:
    """So that sizes are sealed, descriptors are closed once, and every error names its segment."""
    mapping = {
        module(path).removeprefix(CORE)
        for path in compiled
        if re.search(r"\b(?:MAP_SHARED|memfd_create)\b", path.read_text(encoding="utf-8"))
    }
    assert mapping == {"shared.segment"}


@pytest.mark.parametrize("path", python, ids=name)
def test_python_rooms_see_only_the_floors_below(path: Path) -> None:
    own = python_room(module(path))
    seen = {target for target in imports(path) if not target.startswith(CORE)}
    unseen = {target for target in seen if python_room(target) not in visible(own, PYTHON_FLOORS)}
    assert not unseen, f"{own} must not see {sorted(unseen)}"


@pytest.mark.parametrize("path", python, ids=name)
def test_what_does_without_the_compiled_plane_goes_on_doing_so(path: Path) -> None:
    inside = module(path).removeprefix("tetrapylon.").split(".")
    if WITHOUT_CORE & {inside[0], ".".join(inside[:2])}:
        assert not any(target.startswith(CORE) for target in imports(path))


def test_at_the_top_stands_what_the_architecture_names() -> None:
    """A new module has a room, or makes one: a list that grows tells a newcomer less with each line."""
    top = {path.stem for path in python if path.parent.name == "tetrapylon"}
    public = {"app", "embed", "handler", "plugin", "testing", "errors"}
    family = {"catalog", "compile", "serving", "works", "worker", "plan", "supervise"}
    assert top == {"__init__", "__main__", "_version"} | public | family


def test_every_room_has_a_floor_and_every_floor_is_one_of_rooms() -> None:
    rooms = {python_room(module(path)) for path in python}
    assert sorted(room for floor in PYTHON_FLOORS for room in floor) == sorted(rooms)
    known = {module(path).removeprefix("tetrapylon.") for path in python}
    assert known >= WITHOUT_CORE | {f"config.{each}" for each in WORDS}


def test_contributing_tells_of_every_room_and_of_its_floor() -> None:
    told = ROOT.joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
    compiled_rooms = {
        module(path).split(".")[2] for path in compiled if len(path.relative_to(ROOT).parts) > 4
    }
    missing = {room for room in compiled_rooms - {"_core"} if f"| `{room}/` |" not in told}
    assert not missing, f"CONTRIBUTING.md has a table of rooms, and does not tell of {sorted(missing)}"
    rows = re.findall(r"^\| (\d+) \| ([^|]*) \|", told, re.MULTILINE)
    floors = [(int(number), name.rstrip("/")) for number, names in rows for name in NAME.findall(names)]
    assert sorted(floors) == sorted(
        (number, room)
        for number, floor in enumerate(PYTHON_FLOORS, 1)
        for room in floor
        if not room.startswith("_")
    )


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
