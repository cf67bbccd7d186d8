"""Each key of the model, misspelt, mistyped and out of range, in each format: a message at its place.

The cases are derived from the model, so a key that is added is tested by having been added.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml

from tests.config.certificates import CA, OTHER, OWN
from tests.config.conftest import ProbeSettings
from tetrapylon.config import loads, shape
from tetrapylon.config.model import Config, PluginOptions
from tetrapylon.config.policies import PolicySection
from tetrapylon.config.tree import Path, render_path
from tetrapylon.errors import ConfigError, Problem

pytestmark = pytest.mark.usefixtures("policies", "traceparent", "validate")

WORD = "wrongwrong"
NUMBER = 987654321


FULL: dict[str, Any] = {
    "include": ["/*.nothing.yaml"],
    "server": {
        "listen": [
            {
                "address": "127.0.0.1:8080",
                "proxy_protocol": True,
                "tls": {
                    **OWN.config(),
                    "certificates": [OTHER.config()],
                    "client_ca": CA.pem,
                    "client_auth": "optional",
                    "subject_header": "X-Who",
                    "min_version": "1.3",
                    "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256",
                },
            }
        ],
        "workers": 2,
        "zone": "a",
        "trusted_proxies": ["10.0.0.0/8"],
        "limits": {
            "header_bytes": "16KiB",
            "headers": 50,
            "target_bytes": "4KiB",
            "body": "1MiB",
            "connections": 5000,
            "connections_per_client": 50,
            "requests_per_connection": 100,
        },
        "timeouts": {
            "header": "5s",
            "handshake": "3s",
            "body_idle": "20s",
            "body": "1h",
            "keepalive": "60s",
            "drain": "10s",
            "connection_age": "1h",
        },
        "errors": [{"status": [502], "type": "text/html", "body": "<h1>{status}</h1>"}],
    },
    "admin": {
        "listen": "127.0.0.1:9902",
        "token": "a-long-token-for-operators",
        "tls": {**OWN.config(), "client_ca": CA.pem, "min_version": "1.3"},
    },
    "metrics": {"duration_bounds": ["1ms", "2s"], "gateway_bounds": ["0.02ms", "5ms"], "max_routes": 500},
    "log": {
        "access": {
            "format": "json",
            "path": "access.log",
            "sample": "50%",
            "headers": ["X-Tenant"],
            "response_headers": ["X-Cache"],
            "redact": {"headers": ["X-Pin"], "query": ["pin"], "keep": ["code"]},
        },
        "errors": {"format": "json", "path": "syslog:/dev/log", "per_minute": 5},
    },
    "traces": {
        "endpoint": "http://127.0.0.1:4318/v1/traces",
        "service": "gateway",
        "headers": {"X-Key": "sesame"},
        "timeout": "2s",
        "queue": 128,
    },
    "upstreams": {
        "named": {
            "discover": {
                "dns": {
                    "name": "_https._tcp.users.test",
                    "srv": True,
                    "scheme": "http",
                    "servers": ["10.0.0.2:53"],
                    "least": "3s",
                    "most": "200s",
                    "timeout": "1500ms",
                }
            }
        },
        "addressed": {"discover": {"dns": {"name": "users.test", "port": 9007}}},
        "listed": {"discover": {"file": {"path": "users.yaml", "every": "900ms"}}},
        "kept": {
            "discover": {
                "etcd": {
                    "endpoints": ["http://10.0.0.3:2379"],
                    "prefix": "/users/",
                    "user": "gateway",
                    "password": "a-password-for-etcd",
                    "ca": CA.pem,
                    "timeout": "2500ms",
                    "refresh": "50s",
                }
            }
        },
        "registered": {
            "discover": {"use": "tests.discovery.registries:Lines", "settings": {"path": "lines"}}
        },
        "users": {
            "targets": [
                {"url": "https://10.0.0.5:9001", "weight": 2, "priority": 1, "zone": "a"},
                "https://10.0.0.5:9002",
            ],
            "tls": {
                "verify": True,
                "ca": CA.pem,
                "server_name": "users.test",
                "cert": OWN.cert,
                "key": OWN.key,
            },
            "balance": {"consistent_hash": {"key": "header:X-User", "bound": 1.25}},
            "health": {
                "active": {
                    "path": "/healthz",
                    "interval": "4s",
                    "timeout": "2s",
                    "healthy": 3,
                    "unhealthy": 4,
                    "status": [200, 204],
                    "body": "ok",
                    "host": "users.test",
                },
                "passive": {
                    "consecutive_failures": 4,
                    "failure_rate": "40%",
                    "latency": 3.5,
                    "window": "8s",
                    "requests": 30,
                    "eject": "20s",
                    "longest": "90s",
                    "max_ejected": "30%",
                },
                "panic": "10%",
                "slow_start": "15s",
            },
            "retry": {
                "attempts": 2,
                "on": ["connect", "timeout", 503],
                "methods": ["POST"],
                "body": "32KiB",
                "try_timeout": "700ms",
                "hedge": {"percentile": "90%", "floor": "3ms", "requests": 50},
                "backoff": "30ms",
                "budget": "15%",
            },
            "breaker": {
                "target": {
                    "failure_rate": "60%",
                    "slow_rate": "70%",
                    "slow": "2s",
                    "window": "9s",
                    "requests": 25,
                    "open": "6s",
                    "trials": 4,
                },
                "upstream": {"failure_rate": "80%"},
            },
            "adaptive_limit": {"least": 3, "initial": 8, "tolerance": 2.5},
            "timeouts": {
                "connect": "1s",
                "response": "10s",
                "idle": "11s",
                "total": "12s",
                "tunnel": "1h",
                "header": "X-Time-Left",
            },
            "pool": {
                "max_connections": 10,
                "max_pending": 20,
                "max_wait": "3s",
                "idle": "40s",
                "max_age": "1h",
                "max_requests": 9,
            },
            "headers": {"X-Tenant": "acme"},
            "credentials": {"user": "u", "password": "p"},
            "host": "target",
        },
        "orders": {
            "targets": ["http://10.0.0.6:9001"],
            "credentials": {"bearer": "token"},
            "balance": {
                "sticky_cookie": {"cookie": "where", "attributes": "Secure", "first": "random_two"},
            },
        },
    },
    "policies": [{"use": "probe", "key": "client", "rate": "5/s", "window": "2s", "burst": 7, "dry": True}],
    "consumers": [
        {
            "name": "mobile",
            "api_keys": ["sha256:" + 64 * "a"],
            "passwords": ["$2b$10$G6lYX2P.IHmoV6Q8s9Min.foYrubMR4Vo.kgW/lGfqOBBhRilD60W"],
            "hmac_keys": {"mobile-1": "0123456789abcdef"},
            "subjects": ["CN=mobile,O=Acme"],
            "groups": ["partner"],
            "metadata": {"tenant": "acme"},
        }
    ],
    "apps": {
        "legacy": {
            "wsgi": "shop.app:app",
            "processes": 3,
            "threads": 5,
            "folder": "/tmp",
            "env": {"SHOP_DB": "sqlite"},
            "startup": "20s",
            "timeout": "40s",
            "max_requests": 4321,
            "max_memory": "300MiB",
            "drain": "25s",
            "log_lines": 321,
            "forwarded": True,
            "timeouts": {"response": "6s"},
            "pool": {"idle": "11s"},
            "retry": {"attempts": 2},
            "health": {"panic": "15%"},
        },
        "modern": {"asgi": "shop.modern:app"},
    },
    "routes": [
        {"path": "/hosted", "app": "legacy"},
        {
            "path": "/users/{id:int}",
            "methods": ["GET"],
            "host": "example.com",
            "headers": {"X-Tenant": "acme"},
            "upstream": "users",
            "rewrite": "/v2/{id}",
            "limits": {"body": "2MiB"},
            "timeouts": {
                "body_idle": "1s",
                "body": "9s",
                "response": "2s",
                "idle": "3s",
                "total": "4s",
                "tunnel": "5s",
            },
            "policies": [{"use": "plain"}, {"use": "traceparent"}],
            "name": "user",
            "priority": "low",
        },
        {
            "path": "/ping",
            "respond": {"status": 201, "body": "pong", "content_type": "text/html", "headers": {"X-A": "b"}},
        },
        {"path": "/old", "redirect": {"to": "/new", "status": 301}},
        {
            "path": "/quotes/{id:int}",
            "handler": {"call": "examples.shop.handlers:quote", "run_in": "thread"},
            "policies": [
                {
                    "use": "examples.shop.policies:Tenant",
                    "timeout": "2s",
                    "run_in": "thread",
                    "on_error": "continue",
                    "fallback": {
                        "status": 203,
                        "body": "{}",
                        "content_type": "application/json",
                        "headers": {"X-A": "b"},
                    },
                    "body_limit": "2MiB",
                }
            ],
        },
        {
            "path": "/shadowed",
            "upstream": "users",
            "shadow": {
                "to": "named",
                "sample": "20%",
                "methods": ["POST"],
                "again": "5%",
                "headers": ["X-Total"],
                "ignore": ["meta.took"],
                "sets": ["tags"],
                "tolerance": {"price": 0.01},
                "body": "32KiB",
                "in_flight": 10,
                "timeout": "2s",
            },
        },
        {
            "path": "/split",
            "split": {
                "by": "client",
                "to": [
                    {
                        "upstream": "users",
                        "headers": {"X-A": "b"},
                        "cookies": {"canary": "1"},
                        "consumers": ["mobile"],
                    },
                    {"upstream": "orders", "weight": 1},
                ],
            },
        },
        {
            "path": "/page",
            "aggregate": {
                "part": {
                    "upstream": "users",
                    "path": "/part",
                    "method": "POST",
                    "body": True,
                    "forward": ["X-Part"],
                    "required": False,
                    "default": {"n": 1},
                    "pass_through": [404],
                    "timeout": "300ms",
                    "limit": "64KiB",
                    "pick": ["some.member"],
                    "drop": ["some.member.inner"],
                    "rename": {"some.member": "thing"},
                    "flatten": True,
                    "group": "together",
                    "policies": [
                        {
                            "use": "probe",
                            "key": "client",
                            "rate": "5/s",
                            "window": "2s",
                            "burst": 7,
                            "dry": True,
                        }
                    ],
                }
            },
        },
    ],
    "apis": [
        {
            "openapi": "examples/shop/openapi.json",
            "upstream": "orders",
            "prefix": "/shop",
            "host": "shop.example.com",
            "answers": "report",
            "policies": [
                {"use": "probe", "key": "client", "rate": "5/s", "window": "2s", "burst": 7, "dry": True}
            ],
            "limits": {"body": "2MiB"},
            "timeouts": {"total": "5s"},
        }
    ],
    "lifespan": "examples.shop.app:lifespan",
    "docs": {"path": "/api.json", "page": "/api", "title": "Shop", "version": "2"},
    "diff": {"file": "findings.sqlite", "size": "8MiB"},
    "audit": {"ignore": [{"rule": "no-timeout", "at": "routes[0]", "because": "it is a test"}]},
}


def to_toml(value: Any) -> str:
    """TOML with one inline value for each key of the top level, which the tests need no more than."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {to_toml(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(to_toml(child) for child in value) + "]"
    return json.dumps(value)


WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "yaml": lambda config: yaml.safe_dump(config, sort_keys=False, width=1000),
    "json": lambda config: json.dumps(config, indent=1),
    "toml": lambda config: "\n".join(f"{key} = {to_toml(value)}" for key, value in config.items()),
}


def at(config: Any, path: Path) -> Any:
    for step in path:
        config = config[step]
    return config


def fields(place: shape.Shape, path: Path, value: Any) -> Iterator[tuple[Path, shape.Shape]]:
    """Every key of FULL with its shape, all sections that it mentions included."""
    match place:
        case PolicySection():
            yield (*path, "use"), place.fields["use"].shape
            if ":" in value["use"]:
                for name, field in shape.section(PluginOptions).fields.items():
                    yield (*path, name), field.shape
            if value["use"] == "probe":
                for name, field in shape.section(ProbeSettings).fields.items():
                    yield (*path, name), field.shape
        case shape.Section():
            for name, field in place.fields.items():
                if name in value:
                    yield (*path, name), field.shape
                    yield from fields(field.shape, (*path, name), value[name])
        case shape.Optional():
            yield from fields(place.inner, path, value)
        case shape.OneOf():
            for one in place.shapes:
                if type(value) in one.kinds:
                    yield from fields(one, path, value)
        case shape.Items():
            for index, item in enumerate(value):
                yield from fields(place.item, (*path, index), item)
        case shape.Mapping():
            for name, item in value.items():
                yield from fields(place.value, (*path, name), item)


def sections(place: shape.Shape) -> Iterator[shape.Section]:
    match place:
        case shape.Section():
            yield place
            for field in place.fields.values():
                yield from sections(field.shape)
        case shape.Optional():
            yield from sections(place.inner)
        case shape.OneOf():
            for one in place.shapes:
                yield from sections(one)
        case shape.Items():
            yield from sections(place.item)
        case shape.Mapping():
            yield from sections(place.value)


CASES = list(fields(shape.section(Config), (), FULL))
NAMED = {render_path(path): (path, place) for path, place in CASES}
# Of what may be anything, nothing is mistyped.
TYPED = [name for name, (_, place) in NAMED.items() if not isinstance(place, shape.Anything)]


def problems(config: dict[str, Any], suffix: str) -> tuple[str, list[Problem]]:
    text = WRITERS[suffix](config)
    with pytest.raises(ConfigError) as error:
        loads(text, f"gateway.{suffix}")
    return text, error.value.problems


def place_of(text: str, word: str) -> tuple[int, int]:
    """Line and column of the one value or key that is `word`, with its quotes."""
    offset = text.index(word)
    assert text.count(word) == 1
    if text[offset - 1] in "\"'":
        offset -= 1
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def test_the_whole_model_is_covered() -> None:
    covered = {(path[-1], place) for path, place in CASES if isinstance(path[-1], str)}
    for section in sections(shape.section(Config)):
        if isinstance(section, PolicySection):
            continue
        for name, field in section.fields.items():
            assert (name, field.shape) in covered, f"{section.cls.__name__}.{name} is not in FULL"


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_whole_config_is_fine(suffix: str) -> None:
    config = loads(WRITERS[suffix](FULL), f"gateway.{suffix}")
    assert config.routes[1].timeouts.total == 4.0
    assert config.policies[0].settings == {
        "key": "client",
        "rate": 5.0,
        "window": 2.0,
        "burst": 7,
        "dry": True,
    }


@pytest.mark.parametrize("suffix", WRITERS)
# Without `use` there is no telling what the other keys are.
@pytest.mark.parametrize("name", [name for name in NAMED if not name.endswith(".use")])
def test_a_misspelt_key_is_named_with_its_right_spelling(name: str, suffix: str) -> None:
    path, _ = NAMED[name]
    config = deepcopy(FULL)
    parent = at(config, path[:-1])
    key = str(path[-1])
    wrong = f"{key}zz" if len(key) > 3 else f"{key}z"
    renamed = {wrong if each == key else each: value for each, value in parent.items()}
    parent.clear()
    parent.update(renamed)
    text, found = problems(config, suffix)
    unknown = [problem for problem in found if problem.message == "unknown key"]
    assert [problem.path for problem in unknown] == [render_path((*path[:-1], wrong))]
    assert unknown[0].hint == f"did you mean `{key}`?"
    assert (unknown[0].line, unknown[0].column) == place_of(text, wrong)


def wrong_type(place: shape.Shape) -> Any:
    inner = place.inner if isinstance(place, shape.Optional) else place
    text = isinstance(inner, shape.Text) or (isinstance(inner, shape.Section) and inner.shorthand)
    return NUMBER if text else WORD


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", TYPED)
def test_a_mistyped_value_is_named_with_what_was_expected(name: str, suffix: str) -> None:
    path, place = NAMED[name]
    config = deepcopy(FULL)
    wrong = wrong_type(place)
    at(config, path[:-1])[path[-1]] = wrong
    text, found = problems(config, suffix)
    (problem,) = [problem for problem in found if problem.path == render_path(path)]
    assert place.secret or str(wrong) in problem.message or "out of range" in problem.message
    assert not (place.secret and str(wrong) in str(problem))
    assert "expected" in problem.message or "expected" in problem.hint or "did you mean" in problem.hint
    assert (problem.line, problem.column) == place_of(text, str(wrong))


def beyond(place: shape.Shape) -> Iterator[Any]:
    """Values of the right type that are not allowed."""
    match place:
        case shape.Optional():
            yield from beyond(place.inner)
        case shape.OneOf():
            yield from (value for one in place.shapes for value in beyond(one))
        case shape.Number():
            with_unit = place.scalar is not None and not place.scalar.numbers
            write = place.scalar.format if place.scalar and with_unit else lambda value: value
            if place.most is not None:
                yield write(place.most * 2 + 1)
            if place.least is not None and not with_unit:
                yield place.least - 1
            elif place.least:
                yield write(place.least / 2)
        case shape.Text():
            if place.scalar is not None:
                yield "not\tvalid:\r\n"
            if place.at_least or place.scalar is not None:
                yield ""
        case shape.Choice():
            yield WORD
        case shape.Items() if place.at_least:
            yield []


def allowed(path: Path, value: Any) -> bool:
    # An empty header value is a value (RFC 9110, 5.5), and no header value here but these may be empty.
    return value == "" and path[-1] in ("X-Tenant", "X-A", "attributes")


RANGES = [
    (render_path(path), value) for path, place in CASES for value in beyond(place) if not allowed(path, value)
]


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(("name", "value"), RANGES)
def test_a_value_beyond_its_range_is_named_with_the_range(name: str, value: Any, suffix: str) -> None:
    path, _ = NAMED[name]
    config = deepcopy(FULL)
    at(config, path[:-1])[path[-1]] = value
    text, found = problems(config, suffix)
    (problem,) = [problem for problem in found if problem.path == render_path(path)]
    assert "expected" in problem.message or problem.hint
    assert problem.line is not None
    assert problem.column is not None
    before, after = (
        (line := text.splitlines()[problem.line - 1])[: problem.column - 1],
        line[problem.column - 1 :],
    )
    assert after.startswith(("'", '"', str(value) or "'"))
    assert str(path[-1]) in before


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize(
    ("path", "key"),
    [
        (("server", "listen", 0), "address"),
        (("upstreams", "users", "targets", 0), "url"),
        (("upstreams", "users"), "targets"),
        (("routes", 1), "path"),
        (("routes", 3, "redirect"), "to"),
        (("policies", 0), "use"),
        (("policies", 0), "key"),
    ],
)
def test_a_missing_key_is_named(path: Path, key: str, suffix: str) -> None:
    config = deepcopy(FULL)
    del at(config, path)[key]
    _, found = problems(config, suffix)
    missing = [problem for problem in found if problem.message == f"`{key}` is missing"]
    assert [problem.path for problem in missing] == [render_path(path)]
    assert missing[0].line is not None
    assert missing[0].hint.startswith("expected")


def test_all_problems_are_reported_at_once() -> None:
    config = deepcopy(FULL)
    for path, place in CASES:
        holder = at(config, path[:-1])
        if isinstance(holder, dict) and not isinstance(holder.get(path[-1]), (dict, list)):
            holder[path[-1]] = wrong_type(place)
    _, found = problems(config, "yaml")
    named = {problem.path for problem in found}
    for path, _ in CASES:
        value = at(config, path)
        if not isinstance(value, (dict, list)) and ("policies" not in path or path[-1] == "use"):
            assert render_path(path) in named
