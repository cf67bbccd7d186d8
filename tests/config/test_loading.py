"""From the name of a config to a Config, or to a message that helps."""

import json
import os
import sys
import time
from pathlib import Path

import msgspec
import pytest

import tetrapylon
from tetrapylon import catalog
from tetrapylon.config import decode, encode, load, loads, model, override, validate
from tetrapylon.config.model import (
    Config,
    Listener,
    PolicyUse,
    Respond,
    Route,
    RouteLimits,
    Server,
    Target,
    Upstream,
)
from tetrapylon.errors import ConfigError

YAML = """\
server:
  listen: [127.0.0.1:8080, "unix:/run/gateway.sock"]
  workers: auto
  trusted_proxies: [10.0.0.0/8, "fd00::/8"]
  limits: {header_bytes: 32KiB, headers: 100, target_bytes: 8KiB, body: none, connections: 10000}
  timeouts: {header: 10s, body_idle: 30s, keepalive: 75s, drain: 30s}
admin: {listen: 127.0.0.1:9901}
log: {access: {format: json, path: "-", sample: 1.0}}
upstreams:
  users:
    targets: [http://10.0.0.5:9001, {url: "http://10.0.0.6:9001", weight: 2}]
    balance: round_robin
    timeouts: {connect: 2s, response: 30s, idle: 30s, total: none}
    pool: {max_connections: 256, max_pending: 1024, idle: 55s}
    host: preserve
routes:
  - path: /users/{id:int}
    methods: [GET]
    upstream: users
  - {path: "/static/{rest:path}", upstream: users, rewrite: "/assets/{rest}"}
  - {path: "/upload", upstream: users, limits: {body: 1MiB}, timeouts: {total: 60s}}
  - {path: /ping, respond: {status: 200, body: pong}}
  - {path: /old, redirect: {to: /new, status: 308}}
  - {path: /older, redirect: /new}
"""

TOML = """\
[server]
listen = ["127.0.0.1:8080", "unix:/run/gateway.sock"]
workers = "auto"
trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
[admin]
listen = "127.0.0.1:9901"
[upstreams.users]
targets = ["http://10.0.0.5:9001", { url = "http://10.0.0.6:9001", weight = 2 }]
[[routes]]
path = "/users/{id:int}"
methods = ["GET"]
upstream = "users"
[[routes]]
path = "/static/{rest:path}"
upstream = "users"
rewrite = "/assets/{rest}"
[[routes]]
path = "/upload"
upstream = "users"
limits.body = "1MiB"
timeouts.total = "60s"
[[routes]]
path = "/ping"
respond = { body = "pong" }
[[routes]]
path = "/old"
redirect = { to = "/new" }
[[routes]]
path = "/older"
redirect = "/new"
"""

JSON = json.dumps(
    {
        "server": {
            "listen": ["127.0.0.1:8080", "unix:/run/gateway.sock"],
            "workers": "auto",
            "trusted_proxies": ["10.0.0.0/8", "fd00::/8"],
        },
        "admin": {"listen": "127.0.0.1:9901"},
        "upstreams": {
            "users": {"targets": ["http://10.0.0.5:9001", {"url": "http://10.0.0.6:9001", "weight": 2}]}
        },
        "routes": [
            {"path": "/users/{id:int}", "methods": ["GET"], "upstream": "users"},
            {"path": "/static/{rest:path}", "upstream": "users", "rewrite": "/assets/{rest}"},
            {
                "path": "/upload",
                "upstream": "users",
                "limits": {"body": "1MiB"},
                "timeouts": {"total": "60s"},
            },
            {"path": "/ping", "respond": {"body": "pong"}},
            {"path": "/old", "redirect": {"to": "/new"}},
            {"path": "/older", "redirect": "/new"},
        ],
    },
    indent=2,
)


def unplaced(config: Config) -> Config:
    routes = tuple(msgspec.structs.replace(route, at="") for route in config.routes)
    return msgspec.structs.replace(config, routes=routes, files=())


def refused(source: str) -> str:
    with pytest.raises(ConfigError) as error:
        load(source)
    (problem,) = error.value.problems
    return str(problem)


def test_the_contracts_config_is_read() -> None:
    config = loads(YAML, "gateway.yaml")
    assert config.server.timeouts.header == 10.0
    assert config.server.limits.header_bytes == 32 * 1024
    assert config.upstreams["users"].targets[1] == Target(url="http://10.0.0.6:9001", weight=2)
    assert config.upstreams["users"].timeouts.total is None
    assert config.routes[2].limits == RouteLimits(body=1 << 20)
    assert config.routes[2].timeouts.total == 60
    assert config.routes[2].timeouts.response is msgspec.UNSET
    assert config.routes[5].redirect == config.routes[4].redirect
    assert config.routes[1].at == "gateway.yaml:20"


@pytest.mark.parametrize(("text", "source"), [(TOML, "gateway.toml"), (JSON, "gateway.json")])
def test_all_formats_mean_the_same(text: str, source: str) -> None:
    assert unplaced(loads(text, source)) == unplaced(loads(YAML, "gateway.yaml"))


def test_a_config_travels_to_other_processes() -> None:
    config = loads(YAML, "gateway.yaml")
    assert decode(encode(config)) == config


def test_a_receiver_needs_no_reader() -> None:
    import subprocess

    code = (
        "import sys; from tetrapylon.config import decode; decode(sys.stdin.buffer.read());"
        "readers = {'yaml', 'tomllib', 'tetrapylon.config.shape'}; sys.exit(bool(readers & {*sys.modules}))"
    )
    subprocess.run([sys.executable, "-c", code], input=encode(loads(YAML, "gateway.yaml")), check=True)


def test_a_config_built_in_python_is_checked_as_a_file_is() -> None:
    config = Config(
        server=Server(listen=(Listener(address="127.0.0.1:80"),)),
        upstreams={"users": Upstream(targets=(Target(url="http://a"),))},
        routes=(
            Route(path="/a", upstream="usres"),
            Route(path="/b", respond=Respond(status=99)),
            Route(path="/c", upstream="users", policies=(PolicyUse(use="nothing"),)),
        ),
    )
    with pytest.raises(ConfigError) as error:
        validate(config, "shop:config")
    assert [str(problem) for problem in error.value.problems] == [
        "shop:config: routes[1].respond.status: 99 is out of range; expected 200 to 599",
        "shop:config: routes[2].policies[0].use: there is no policy 'nothing';"
        f" expected one of {', '.join(sorted(catalog.POLICIES))}",
        "shop:config: routes[0].upstream: there is no upstream 'usres'; did you mean 'users'?",
    ]


def test_values_in_python_are_plain_numbers_and_come_back_canonical() -> None:
    config = validate(
        Config(
            upstreams={"u": Upstream(targets=(Target(url="http://A"),))},
            routes=[Route(path="/", upstream="u")],  # type: ignore[arg-type]
        )
    )
    assert config.upstreams["u"].targets[0].url == "http://a:80"
    assert config.upstreams["u"].timeouts.connect == 2.0
    assert isinstance(config.routes, tuple)
    assert validate(config).routes == config.routes


def test_what_no_config_holds_is_refused_in_python_too() -> None:
    with pytest.raises(ConfigError, match="a value has no place in a config"):
        validate(Config(routes=(Route(path=object()),)))  # type: ignore[arg-type]


def test_the_public_names_are_there() -> None:
    for name in tetrapylon.__all__:
        assert getattr(tetrapylon, name) is not None
    assert tetrapylon.Config is Config
    # A config is built in Python of these.
    assert set(model.__all__) - {"Section"} <= set(tetrapylon.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Confg'"):
        tetrapylon.Confg  # type: ignore[attr-defined]  # noqa: B018


def test_the_command_line_takes_the_place_of_the_config() -> None:
    config = loads(YAML, "gateway.yaml")
    changed = override(config, listen=["127.0.0.1:1", "unix:/x"], workers=3)
    assert [listener.address for listener in changed.server.listen] == ["127.0.0.1:1", "unix:/x"]
    assert changed.server.workers == 3
    assert changed.routes == config.routes
    assert override(config) == config
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:9901 is taken by server"):
        override(config, listen=["127.0.0.1:9901"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gateway.yaml", None, "no such file; check the name, or write a first one with `tetrapylon init`"),
        ("gateway.yaml", b"", "the file is empty; `tetrapylon init` writes a first one"),
        ("gateway.yaml", b"a: \xff", "not UTF-8; save the file as UTF-8 text"),
        ("gateway.yaml", "a: ü".encode("utf-16"), "not UTF-8"),
        ("gateway.yaml", b"- a", "expected a mapping at the top"),
        ("gateway.json", b"[]", "expected a mapping at the top"),
        ("gateway.ini", b"x", "the name does not say its format; expected a .yaml, .toml or .json file"),
        ("gateway", None, "the name does not say its format"),
    ],
)
def test_files_that_hold_no_config(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert f": {said}" in refused(str(path))


def test_the_place_of_what_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(b"a: 1\nbc: \xff")
    assert refused(str(path)).startswith(f"{path}:2:5: not UTF-8")


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(b"\xef\xbb\xbfroutes: []")
    assert load(str(path)) == Config(files=(str(path),))


def test_a_directory_is_no_config(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.mkdir()
    assert (
        refused(str(path))
        == f"{path}: this is a directory; expected a .yaml, .toml or .json file, or MODULE:ATTRIBUTE"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("routes: []")
    path.chmod(0)
    assert refused(str(path)) == f"{path}: cannot be read: Permission denied"


def test_a_path_that_no_system_takes_is_no_traceback() -> None:
    assert "cannot be read" in refused("a\0b.yaml")
    assert "cannot be read: File name too long" in refused("a" * 5000 + ".yaml")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in ("shopcfg", "shopcfg.broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path / "shopcfg.py"


def test_a_module_names_its_config(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module.write_text(
        "from tetrapylon import *\n"
        "class all:\n"
        "    config = Config(routes=[Route(path='/', respond=Respond(body='x'))])\n"
    )
    config = load("shopcfg:all.config")
    assert config.routes[0].at == "shopcfg:all.config:routes[0]"
    monkeypatch.delitem(sys.modules, "shopcfg")


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("shopcfg:config", None, "there is no module shopcfg; is it installed, or is this the wrong folder?"),
        ("shopcfg:config", "config = 1", "this is of type int; expected a tetrapylon.Config"),
        ("shopcfg:confg", "config = 1", "shopcfg has no attribute 'confg'"),
        ("shopcfg:config", "1 / 0", "importing shopcfg raised ZeroDivisionError: division by zero ("),
        (
            "shopcfg:config",
            "import nothing_here",
            "importing shopcfg raised ModuleNotFoundError: No module named",
        ),
        ("shopcfg:config", "def", "importing shopcfg raised SyntaxError"),
        ("shopcfg:config", "raise SystemExit(3)", "importing shopcfg raised SystemExit: 3"),
    ],
)
def test_modules_without_one(module: Path, source: str, code: str | None, said: str) -> None:
    if code is not None:
        module.write_text(code)
    assert refused(source).startswith(f"{source}: {said}")
    sys.modules.pop("shopcfg", None)


def test_ten_thousand_routes_are_checked_in_time() -> None:
    head = "upstreams: {users: {targets: [http://127.0.0.1:9000]}}\nroutes:\n"
    entry = (
        "  - path: /a/b{}/{{id:int}}\n    methods: [GET]\n    upstream: users\n    timeouts: {{total: 3s}}\n"
    )
    text = head + "".join(entry.format(index) for index in range(10_000))
    began = time.process_time()
    config = loads(text, "gateway.yaml")
    spent = time.process_time() - began
    assert len(config.routes) == 10_000
    assert config.routes[9_999].at == "gateway.yaml:39999"
    assert spent < 1.5
    assert len(decode(encode(config)).routes) == 10_000
