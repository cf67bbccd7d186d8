"""The config of a run, drawn from its seed: all kinds of destinations, under policies in any company."""

import random
from dataclasses import dataclass, field
from typing import Any

CODE = "tests.fuzz.mixed.code"
PLUGINS = ("Pieces", "Heads", "Whole", "Plain")
HANDLERS = ("answers", "answers_late", "takes", "streams")
ID = "{header:X-Id}"
CHANGE = {"drop": ["secret"]}
TIMEOUTS = {"connect": "1s", "response": "1s", "idle": "1s", "tunnel": "2s"}


@dataclass
class Route:
    """One route of the config, and what a client may expect of it."""

    path: str
    destination: dict[str, Any]
    policies: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    proxied: bool = True
    """An upstream answers, as the query asks it to."""
    cached: bool = False
    code: bool = False
    """User code may fail the request."""

    @property
    def config(self) -> dict[str, Any]:
        return {
            "path": self.path + "/{rest:path}",
            "policies": self.policies,
            **self.destination,
            **self.more,
        }


def plugin(rng: random.Random) -> dict[str, Any]:
    return {
        "use": f"{CODE}:{rng.choice(PLUGINS)}",
        "timeout": "50ms",
        "on_error": rng.choice(("refuse", "continue")),
    }


def policy(rng: random.Random) -> dict[str, Any]:
    """Any that neither changes what a request is nor keeps answers."""
    made: list[dict[str, Any]] = [
        {"use": "mirror", "upstream": "second", "share": 0.5, "timeout": "500ms", "body": "4KiB"},
        {"use": "transform", "request": {"drop": ["absent"]}, "response": CHANGE},
        {"use": "transform", "response": {"drop": ["absent"]}, "limit": "64KiB"},
        {"use": "decompress"},
        {"use": "compress", "min_size": 10},
        {"use": "rate_limit", "rate": "2000/s", "burst": 200, "key": "route"},
        {"use": "concurrency", "limit": 30, "key": "route"},
        {"use": "headers", "request": {"set": {"X-Set": ID}}, "response": {"set": {"X-Of": ID}}},
        {"use": "server_timing"},
        {"use": "request_id"},
        {"use": "validate", "answers": "report", "responses": {"200": {"schema": {"type": "object"}}}},
        {"use": "fault", "delay": "2ms", "delay_share": 0.2},
        plugin(rng),
        plugin(rng),
        plugin(rng),
    ]  # fmt: skip
    return rng.choice(made)


def destination(rng: random.Random, hosted: bool) -> tuple[dict[str, Any], bool]:
    """And whether an upstream answers as the query asks it to."""
    kinds = ("upstream",) * 6 + ("handler", "handler", "aggregate", "split") + ("app",) * hosted
    kind = rng.choice(kinds)
    if kind == "app":
        return {"app": "hosted"}, False
    if kind == "handler":
        return {"handler": f"{CODE}:{rng.choice(HANDLERS)}"}, False
    if kind == "aggregate":
        path = "/part?{query}"
        parts: dict[str, dict[str, Any]] = {
            "one": {"upstream": "up", "path": path},
            "two": {"upstream": rng.choice(("up", "retrying")), "path": path, "required": rng.random() < 0.5},
            "three": {"upstream": "up", "path": "/late/{one.id}?{query}", "timeout": "300ms", "default": None,
                      "required": False},
        }  # fmt: skip
        return {"aggregate": {name: {**part, "forward": ["X-Id"]} for name, part in parts.items()}}, False
    if kind == "split":
        return {
            "split": {"to": [{"upstream": "up", "weight": 1}, {"upstream": "retrying", "weight": 1}]}
        }, True
    return {"upstream": rng.choice(("up", "up", "retrying", "tight"))}, True


def routes(rng: random.Random, count: int) -> list[Route]:
    made = []
    hosted = rng.random() < 0.3
    for number in range(count):
        leads, proxied = destination(rng, hosted)
        route = Route(f"/r{number}", leads, proxied=proxied)
        uses: dict[str, dict[str, Any]] = {}
        for _ in range(rng.randint(0, 5)):
            use = policy(rng)
            uses.setdefault(use["use"], use)
        route.policies = list(uses.values())
        if "upstream" in leads and rng.random() < 0.3:
            route.path = f"/cache{number}"
            route.cached = True
            # What is said of one request alone may not stand behind the cache, which keeps it for others.
            marks = [
                at for at, use in enumerate(route.policies) if use["use"] in ("headers", f"{CODE}:Heads")
            ]
            place = rng.randint(max(marks, default=-1) + 1, len(route.policies))
            route.policies.insert(place, {"use": "cache", "size": "1MiB", "max_object": "200KiB"})
        if "upstream" in leads and not route.cached and rng.random() < 0.4:
            route.more["shadow"] = {
                "to": "second", "sample": "50%", "again": "50%", "methods": ["POST"], "in_flight": 8,
                "timeout": "500ms", "body": "16KiB",
            }  # fmt: skip
        if rng.random() < 0.2:
            route.more["timeouts"] = {"total": "300ms"}
        own = any(use["use"].startswith(CODE) for use in route.policies)
        route.code = own or "handler" in leads or "app" in leads
        made.append(route)
    return made


def upstreams(up: list[str], second: str) -> dict[str, Any]:
    retry = {
        "attempts": 2, "on": ["connect", "reset", "timeout", 503], "try_timeout": "100ms", "backoff": "2ms",
        "budget": "100%", "hedge": {"percentile": 0.5, "requests": 20, "floor": "3ms"},
    }  # fmt: skip
    return {
        "up": {"targets": up, "timeouts": TIMEOUTS},
        "retrying": {"targets": up, "timeouts": TIMEOUTS, "retry": retry},
        "tight": {
            "targets": up,
            "timeouts": TIMEOUTS,
            "pool": {"max_connections": 3, "max_pending": 6, "max_wait": "100ms"},
        },
        "second": {"targets": [second], "timeouts": {**TIMEOUTS, "response": "300ms"}},
    }


def config(made: list[Route], up: list[str], second: str, folder: str, tls: dict[str, Any]) -> dict[str, Any]:
    hosted = any("app" in route.destination for route in made)
    apps = {"hosted": {"asgi": f"{CODE}:app", "timeouts": TIMEOUTS, "pool": {"idle": "500ms"}}}
    return {
        "server": {
            "listen": ["127.0.0.1:0", {"address": "127.0.0.1:0", "tls": tls}],
            "workers": 1,
            "timeouts": {"body_idle": "8s", "keepalive": "8s"},
        },
        "log": {"access": {"sample": 0}},
        "admin": {"listen": "127.0.0.1:0"},
        "diff": {"file": f"{folder}/diff.sqlite"},
        "upstreams": upstreams(up, second),
        "apps": apps if hosted else {},
        "routes": [route.config for route in made],
    }
