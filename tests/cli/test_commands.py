"""The verbs as processes: what they print, where, and their exit status."""

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Run
from tetrapylon import __version__

BAD = """\
server: {workers: two}
routes:
  - {path: /, upstream: nowhere}
"""

ROUTES = """\
upstreams: {users: {targets: [http://127.0.0.1:9000]}}
routes:
  - {path: "/users/{id:int}", host: api.example.com, methods: [GET, HEAD], upstream: users, rewrite: "/{id}"}
  - {path: /ping, respond: {body: pong}, name: ping}
  - {path: /old, redirect: /new}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(ROUTES)
    return path


def test_help_is_quick_and_names_every_verb(tetrapylon: Run) -> None:
    tetrapylon("--help")
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        done = tetrapylon("--help")
        spent.append(time.perf_counter() - began)
    assert done.returncode == 0
    assert all(verb in done.stdout for verb in ("run", "check", "routes", "explain", "schema", "init"))
    assert min(spent) < 0.2


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tetrapylon.cli import main; main(['--help']);"
        "sys.exit(not {'msgspec', 'asyncio', 'yaml', 'typing', 'dataclasses'}.isdisjoint(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("verb", ["run", "check", "routes", "explain", "schema", "init", "completion"])
def test_every_verb_has_help(tetrapylon: Run, verb: str) -> None:
    done = tetrapylon(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: tetrapylon {verb}")


def test_version(tetrapylon: Run) -> None:
    done = tetrapylon("--version")
    assert (done.returncode, done.stdout) == (0, f"tetrapylon {__version__}\n")


def test_the_module_is_the_command(config: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tetrapylon", "check", str(config)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{config}: fine (3 routes, 1 upstream)\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "tetrapylon: the following arguments are required: VERB; see `tetrapylon --help`\n"),
        (("chek",), "tetrapylon: there is no verb 'chek'; did you mean check?; see `tetrapylon --help`\n"),
        (("check", "--fast"), "unrecognized arguments: --fast"),
        (("explain", "gateway.yaml"), "the following arguments are required: METHOD, URL"),
        (("explain", "gateway.yaml", "GET", "/", "-H", "x"), "'x' is not a header; expected NAME:VALUE"),
        (("explain", "gateway.yaml", "GET", "users"), "did you mean /users or http://users?"),
        (("explain", "gateway.yaml", "GET", "/%zz"), "/%zz: answered with 400"),
        (("explain", "gateway.yaml", "GET", "http://[x/"), "'http://[x/' is not a URL"),
        (("run", "--workers", "0"), "'0' is not a number of workers; expected 1 to 1024, or auto"),
        (("run", "--listen", "8080"), "'8080' lacks a host; did you mean 127.0.0.1:8080?"),
        (("routes", "--format", "xml"), "invalid choice: 'xml'"),
        (("check", "missing.yaml"), "missing.yaml: no such file; check the name, or write a first one"),
        (("check", "."), ".: the name does not say its format"),
        (("check", "nothing:here"), "nothing:here: there is no module nothing"),
        (("init", "gateway.yaml"), "gateway.yaml: there is such a file already"),
        (("init", "gateway.toml"), "gateway.toml: the starter is YAML"),
        (("init", "no/folder.yaml"), "no/folder.yaml: cannot be written: No such file or directory"),
    ],
)
def test_bad_usage_says_what_and_ends_with_2(
    tetrapylon: Run, config: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = tetrapylon(*arguments)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (2, "")


def test_check_reports_all_problems_at_once(tetrapylon: Run, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(BAD)
    done = tetrapylon("check", "gateway.yaml")
    assert done.stderr.splitlines() == [
        "gateway.yaml:1:19: server.workers: expected a whole number or auto, not 'two'",
        "gateway.yaml:3:25: routes[0].upstream: there is no upstream 'nowhere'; expected one in `upstreams`",
        "2 problems",
    ]
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("verb", ["check", "routes"])
def test_gateway_yaml_is_the_default(tetrapylon: Run, config: Path, verb: str) -> None:
    assert tetrapylon(verb).returncode == 0


def test_without_a_config_init_is_named(tetrapylon: Run) -> None:
    done = tetrapylon("check")
    assert done.returncode == 2
    assert "`tetrapylon init`" in done.stderr


def test_routes_are_a_table(tetrapylon: Run, config: Path) -> None:
    done = tetrapylon("routes", "gateway.yaml")
    assert done.returncode == 0
    assert done.stdout == (
        "METHODS   HOST             PATH             DESTINATION              POLICIES\n"
        "GET,HEAD  api.example.com  /users/{id:int}  upstream users as /{id}  -\n"
        "*         *                /ping            respond 200              -\n"
        "*         *                /old             redirect 308 /new        -\n"
    )


def test_routes_as_json(tetrapylon: Run, config: Path) -> None:
    found = json.loads(tetrapylon("routes", "gateway.yaml", "--format", "json").stdout)
    assert found[1] == {
        "name": "ping",
        "methods": [],
        "host": None,
        "path": "/ping",
        "headers": {},
        "destination": "respond 200",
        "policies": [],
        "at": "gateway.yaml:4",
    }


def test_init_writes_a_config_that_is_fine(tetrapylon: Run, tmp_path: Path) -> None:
    done = tetrapylon("init")
    assert (done.returncode, done.stdout) == (0, "wrote gateway.yaml; next: tetrapylon run gateway.yaml\n")
    assert tetrapylon("check").stdout == "gateway.yaml: fine (2 routes, 1 upstream)\n"
    assert tetrapylon("init", "-").stdout == (tmp_path / "gateway.yaml").read_text()


def test_the_starter_leaves_the_audit_one_thing_to_object_to(tetrapylon: Run) -> None:
    """Only who may ask is the reader's to say."""
    tetrapylon("init")
    findings = json.loads(tetrapylon("audit", "--format", "json").stdout)["findings"]
    assert [each["rule"] for each in findings] == ["unauthenticated-write"]


def test_every_line_commented_out_in_the_starter_works(tetrapylon: Run, tmp_path: Path) -> None:
    lines = tetrapylon("init", "-").stdout.splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith("routes:"))
    routes = [
        line.replace("  # ", "  ", 1) if "# -" in line or "  #  " in line else line for line in lines[begin:]
    ]
    (tmp_path / "gateway.yaml").write_text("\n".join(lines[:begin] + routes))
    assert tetrapylon("check").stdout == "gateway.yaml: fine (4 routes, 1 upstream)\n"


def test_schema_is_json_and_the_reference_markdown(tetrapylon: Run) -> None:
    assert json.loads(tetrapylon("schema").stdout)["$defs"]["Config"]
    assert tetrapylon("schema", "--format", "markdown").stdout.startswith("# Config reference\n")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_verbs_and_options(tetrapylon: Run, shell: str) -> None:
    done = tetrapylon("completion", shell)
    assert done.returncode == 0
    assert "explain" in done.stdout
    assert "--workers" in done.stdout


def test_a_closed_pipe_is_quiet(tmp_path: Path, config: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [str(COMMAND), "schema"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=30
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


def terminal(tmp_path: Path, **environment: str) -> str:
    """What `check` writes to standard error where that is a terminal."""
    (tmp_path / "gateway.yaml").write_text(BAD)
    primary, secondary = pty.openpty()
    base = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(
        [str(COMMAND), "check"],
        cwd=tmp_path,
        stderr=secondary,
        stdout=subprocess.DEVNULL,
        env={**base, "TERM": "xterm", **environment},
        check=False,
        timeout=30,
    )
    os.close(secondary)
    text = os.read(primary, 65536).decode()
    os.close(primary)
    return text


def test_colour_is_for_terminals_and_can_be_refused(tmp_path: Path) -> None:
    assert "\x1b[1mgateway.yaml:1:19\x1b[0m: server.workers" in terminal(tmp_path)
    assert "\x1b" not in terminal(tmp_path, NO_COLOR="1")
    assert "\x1b" not in terminal(tmp_path, TERM="dumb")
