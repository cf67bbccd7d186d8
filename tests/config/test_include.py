"""`include`: files merged into one config, every message pointing into the file where the mistake stands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tetrapylon.config import load, validate
from tetrapylon.config.model import Config
from tetrapylon.errors import ConfigError

Write = Callable[..., Path]

MAIN = """\
include: [routes.d/*.yaml, more.toml]
upstreams:
  users: {targets: [http://127.0.0.1:9000]}
routes:
  - {path: /ping, respond: {body: pong}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Write:
    """Writes files, their names with `__` for a slash and a last `_` for the dot: `routes__a_yaml`."""

    def files(**texts: str) -> Path:
        for name, text in texts.items():
            stem, _, suffix = name.rpartition("_")
            path = folder / (stem.replace("__", "/") + "." + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return folder

    return files


def problems(source: str = "gateway.yaml") -> list[str]:
    with pytest.raises(ConfigError) as error:
        load(source)
    return [str(problem) for problem in error.value.problems]


@pytest.fixture
def two(write: Write, folder: Path) -> Path:
    (folder / "routes.d").mkdir()
    (folder / "routes.d" / "b.yaml").write_text('routes:\n  - {path: "/b", upstream: orders}\n')
    (folder / "routes.d" / "a.yaml").write_text('routes:\n  - {path: "/a", upstream: users}\n')
    write(
        gateway_yaml=MAIN,
        more_toml='[upstreams.orders]\ntargets = ["http://127.0.0.1:9001"]\n\n'
        '[[policies]]\nuse = "request_id"\n',
    )
    return folder


def test_upstreams_routes_and_policies_of_all_files_are_one_config(two: Path) -> None:
    config = load("gateway.yaml")
    assert sorted(config.upstreams) == ["orders", "users"]
    assert [route.path for route in config.routes] == ["/ping", "/a", "/b"]
    assert [policy.use for policy in config.policies] == ["request_id"]
    assert config.include == ()


def test_a_route_knows_the_file_that_it_stands_in(two: Path) -> None:
    places = [route.at for route in load("gateway.yaml").routes]
    assert places == ["gateway.yaml:5", "routes.d/a.yaml:2", "routes.d/b.yaml:2"]


def test_all_files_are_named_for_who_watches_them(two: Path) -> None:
    assert load("gateway.yaml").files == ("gateway.yaml", "routes.d/a.yaml", "routes.d/b.yaml", "more.toml")


def test_patterns_start_at_the_folder_of_the_config(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert len(load(str(two / "gateway.yaml")).routes) == 3


def test_a_mistake_is_positioned_in_the_included_file(two: Path) -> None:
    (two / "routes.d" / "a.yaml").write_text('routes:\n  - path: "/a"\n    upstrem: users\n')
    assert problems() == ["routes.d/a.yaml:3:5: routes[1].upstrem: unknown key; did you mean `upstream`?"]


def test_mistakes_of_all_files_are_reported_at_once_file_by_file(two: Path) -> None:
    (two / "routes.d" / "a.yaml").write_text("routes:\n  - {path: /a, upstream: userz}\n")
    (two / "routes.d" / "b.yaml").write_text("routes:\n  - {path: /b, upstream: orderz}\n")
    assert [text.partition(": ")[0] for text in problems()] == [
        "routes.d/a.yaml:2:26",
        "routes.d/b.yaml:2:26",
    ]


def test_files_that_cannot_be_parsed_are_all_named(two: Path) -> None:
    (two / "routes.d" / "a.yaml").write_text("routes: [\n")
    (two / "more.toml").write_text("x = = 1\n")
    first, second = problems()
    assert first.startswith("routes.d/a.yaml:2:1: not YAML: ")
    assert second.startswith("more.toml:1:5: not TOML: ")


def test_two_upstreams_of_one_name_are_reported_with_both_places(two: Path) -> None:
    (two / "routes.d" / "a.yaml").write_text("upstreams:\n  users: {targets: [http://127.0.0.1:9]}\n")
    assert problems() == [
        "routes.d/a.yaml:2:3: upstreams.users: 'users' is defined twice; the first is at gateway.yaml:3:3"
    ]


def test_two_equal_routes_are_reported_with_both_places(two: Path) -> None:
    (two / "routes.d" / "a.yaml").write_text("\nroutes:\n  - {path: /ping, upstream: users}\n")
    (problem,) = problems()
    assert problem.startswith(
        "routes.d/a.yaml:3:5: routes[1]: /ping takes the same requests as the route at "
    )
    assert "gateway.yaml:5" in problem


def test_two_equal_names_are_reported_with_both_places(two: Path) -> None:
    (two / "routes.d" / "a.yaml").write_text("routes:\n  - {path: /a, upstream: users, name: x}\n")
    (two / "routes.d" / "b.yaml").write_text("routes:\n  - {path: /b, upstream: users, name: x}\n")
    (problem,) = problems()
    assert problem.startswith("routes.d/b.yaml:2:39: routes[2].name: 'x' is the name of the route at")
    assert "routes.d/a.yaml:2 too" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "server: {workers: 2}\n",
            "routes.d/a.yaml:1:1: server: `server` belongs in the main file; an included",
        ),
        ("include: [x.yaml]\n", "routes.d/a.yaml:1:1: include: `include` belongs in the main file"),
        ("routes: {path: /}\n", "routes.d/a.yaml:1:9: routes: expected a list, not a mapping"),
        ("upstreams: [a]\n", "routes.d/a.yaml:1:12: upstreams: expected a mapping, not a list"),
        ("- a\n", "routes.d/a.yaml:1:1: expected a mapping at the top"),
        ("", "routes.d/a.yaml: the file is empty"),
    ],
)
def test_what_an_included_file_must_not_hold(two: Path, text: str, said: str) -> None:
    (two / "routes.d" / "a.yaml").write_text(text)
    (problem,) = problems()
    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("missing.yaml", "gateway.yaml:1:11: include[0]: there is no file missing.yaml; expected a file, or"),
        ("missing.d/*.yaml", "gateway.yaml:1:11: include[0]: there is no folder missing.d; make it"),
        ("note.txt", "note.txt: the name does not say its format"),
        ("gateway.yaml", "gateway.yaml:1:11: include[0]: gateway.yaml is included already; name it once"),
        ("7", "gateway.yaml:1:11: include[0]: expected a string, not 7"),
    ],
)
def test_patterns_that_name_nothing_or_the_wrong_thing(
    folder: Path, write: Write, pattern: str, said: str
) -> None:
    write(gateway_yaml=f"include: [{pattern}]\nroutes: []\n", note_txt="routes: []\n")
    (problem,) = problems()
    assert problem.startswith(said)


def test_a_folder_may_be_empty(folder: Path, write: Write) -> None:
    (folder / "routes.d").mkdir()
    write(gateway_yaml="include: [routes.d/*.yaml]\n")
    assert load("gateway.yaml").routes == ()


def test_a_file_that_two_patterns_name_is_read_once(two: Path) -> None:
    text = MAIN.replace("[routes.d/*.yaml,", '["routes.d/*.yaml", "**/*.yaml",')
    (two / "gateway.yaml").write_text(text)
    assert len(load("gateway.yaml").routes) == 3


def test_references_are_filled_from_the_included_files_folder(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BODY", "from the environment")
    (two / "routes.d" / "motd").write_text("from the file\n")
    (two / "routes.d" / "a.yaml").write_text(
        'routes:\n  - {path: /a, respond: {body: "${BODY}"}}\n'
        '  - {path: /c, respond: {body: "${file:motd}"}}\n'
    )
    config = load("gateway.yaml")
    bodies = [route.respond.body for route in config.routes if route.respond]
    assert bodies == ["pong", "from the environment", "from the file"]
    assert "routes.d/motd" in config.files


def test_an_unset_variable_is_positioned_in_the_included_file(two: Path) -> None:
    (two / "routes.d" / "a.yaml").write_text('routes:\n  - {path: /a, respond: {body: "${NO_SUCH}"}}\n')
    (problem,) = problems()
    assert problem.startswith(
        "routes.d/a.yaml:2:32: routes[1].respond.body: the environment variable NO_SUCH is"
    )


def test_json_includes_too(folder: Path, write: Write) -> None:
    write(
        gateway_json='{"include": ["more.json"], "routes": []}',
        more_json='{"routes": [{"path": "/", "respond": {"status": 7}}]}',
    )
    assert problems("gateway.json") == [
        "more.json:1:49: routes[0].respond.status: 7 is out of range; expected 200 to 599"
    ]


def test_a_config_built_in_python_includes_no_files() -> None:
    with pytest.raises(ConfigError, match="a config built in Python includes no files"):
        validate(Config(include=("routes/*.yaml",)))


def test_what_was_loaded_can_be_validated_again(two: Path) -> None:
    config = load("gateway.yaml")
    assert validate(config).files == config.files


def test_patterns_by_which_there_may_be_more_are_kept_for_who_watches(two: Path) -> None:
    assert load("gateway.yaml").patterns == ("routes.d/*.yaml",)
    (two / "gateway.yaml").write_text("include: [none.yaml, routes.d/*.yaml]\nroutes: []\n")
    with pytest.raises(ConfigError) as error:
        load("gateway.yaml")
    assert error.value.patterns == ("none.yaml", "routes.d/*.yaml")
    assert error.value.files == ("gateway.yaml", "routes.d/a.yaml", "routes.d/b.yaml")


def test_a_folder_whose_name_looks_like_a_pattern_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "[x]").mkdir()
    (tmp_path / "[x]" / "gateway.yaml").write_text("include: [r/*.yaml]\n")
    (tmp_path / "[x]" / "r").mkdir()
    (tmp_path / "[x]" / "r" / "a.yaml").write_text("routes: [{path: /a, respond: {body: a}}]\n")
    assert [route.path for route in load(f"{tmp_path}/[x]/gateway.yaml").routes] == ["/a"]
