"""References to the environment and to files."""

import os
from pathlib import Path

import pytest

from tetrapylon.config import load
from tetrapylon.config.model import Config
from tetrapylon.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("BODY", "WORKERS", "EMPTY", "MISSING", "TOTAL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def respond(folder: Path, body: str) -> Config:
    path = folder / "gateway.yaml"
    path.write_text(f"routes:\n  - path: /\n    respond: {{body: {body}}}\n")
    return load(str(path))


def body(folder: Path, text: str) -> str:
    respond_ = respond(folder, text).routes[0].respond
    assert respond_ is not None
    return respond_.body


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        respond(folder, text)
    (problem,) = error.value.problems
    return str(problem).removeprefix(f"{folder}/")


def test_a_variable_is_filled_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODY", "hello ${X}")
    assert body(folder, '"a ${BODY} b ${BODY}"') == "a hello ${X} b hello ${X}"


def test_a_default_stands_in_for_what_is_unset_or_empty(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    assert body(folder, '"${MISSING:-x:-y}${EMPTY:-z}${MISSING:-}"') == "x:-yz"
    assert body(folder, '"${EMPTY}"') == ""


def test_a_file_is_found_from_the_configs_folder(folder: Path) -> None:
    (folder / "motd").write_bytes("grüß\n\n".encode())
    assert body(folder, '"${file:motd}"') == "grüß\n"
    assert body(folder, f'"${{file:{folder}/motd}}"') == "grüß\n"


def test_two_dollars_stand_for_one(folder: Path) -> None:
    assert body(folder, '"$${BODY} $x $"') == "${BODY} $x $"


def test_keys_are_left_alone(folder: Path) -> None:
    path = folder / "gateway.yaml"
    path.write_text('upstreams: {"${X}": {targets: ["http://a"]}}')
    assert list(load(str(path)).upstreams) == ["${X}"]


@pytest.mark.parametrize("suffix", ["yaml", "toml", "json"])
def test_numbers_may_come_from_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    texts = {
        "yaml": "server: {workers: '${WORKERS}', limits: {headers: '${WORKERS}', body: '${TOTAL}'}}",
        "toml": "[server]\nworkers='${WORKERS}'\nlimits={headers='${WORKERS}', body='${TOTAL}'}",
        "json": '{"server": {"workers": "${WORKERS}", '
        '"limits": {"headers": "${WORKERS}", "body": "${TOTAL}"}}}',
    }
    path = folder / f"gateway.{suffix}"
    path.write_text(texts[suffix])
    monkeypatch.setenv("WORKERS", "3")
    monkeypatch.setenv("TOTAL", "1MiB")
    server = load(str(path)).server
    assert (server.workers, server.limits.headers, server.limits.body) == (3, 3, 1 << 20)
    monkeypatch.setenv("TOTAL", "none")
    assert load(str(path)).server.limits.body is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"${MISSING}"', "the environment variable MISSING is not set; set it, or write ${MISSING:-default}"),
        ('"${1x}"', "`${1x}` names no variable; expected ${NAME}"),
        ('"${}"', "`${}` names no variable"),
        ('"${BODY"', "`${` without its `}`; write $${ for a literal ${"),
        ('"${file:nothing}"', "cannot read the file nothing: No such file or directory"),
        ('"${file:.}"', "cannot read the file .: Is a directory"),
        ('"${file:binary}"', "the file binary is not UTF-8"),
        ('"${file:large}"', "the file large is larger than 1MiB"),
    ],
)
def test_what_cannot_be_filled_in_is_named_where_it_stands(folder: Path, text: str, said: str) -> None:
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "large").write_bytes(b"x" * (1 << 20 | 1))
    assert refused(folder, text).startswith(f"gateway.yaml:3:21: routes[0].respond.body: {said}")


def test_a_wrong_value_that_was_filled_in_is_not_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "gateway.yaml"
    path.write_text(
        "server: {workers: '${S}', limits: {body: '${S}'}}\nadmin: {listen: '${S}'}\nlog: {access: '${S}'}"
    )
    monkeypatch.setenv("S", "hunter2")
    with pytest.raises(ConfigError) as error:
        load(str(path))
    assert len(error.value.problems) == 4
    assert "hunter2" not in str(error.value)
    assert "the value of ${S} is not a size; expected one such as 64KiB" in str(error.value)


def test_an_alias_is_filled_in_once(folder: Path) -> None:
    path = folder / "gateway.yaml"
    path.write_text("routes:\n  - {path: /a, respond: &r {body: '$${A}'}}\n  - {path: /b, respond: *r}")
    bodies = [route.respond.body for route in load(str(path)).routes if route.respond]
    assert bodies == ["${A}", "${A}"]
    assert "A" not in os.environ
