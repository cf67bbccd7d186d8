"""What services answer: values by their forms, JSON by what wrote it, and documents."""

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

JSON = Any
Headers = list[tuple[str, str]]
Form = Callable[
    [Random, int], JSON
]  # a value by chance and by the number of the answer: 0, 1 (asked again), 2 (the new)

# Values that no two answers share, by their forms.

START = datetime(2026, 11, 30, 9, 0, 3, 217_345, UTC)


def now(n: int) -> datetime:
    return START + timedelta(seconds=3, milliseconds=431, microseconds=77) * n


def letters(alphabet: str, length: int) -> Form:
    return lambda chance, n: "".join(chance.choice(alphabet) for _ in range(length))


def iso(tz: Any = UTC, digits: str = "seconds", z: str = "Z", t: str = "T") -> Form:
    def form(chance: Random, n: int) -> str:
        return now(n).astimezone(tz).isoformat(t, digits).replace("+00:00", z)

    return form


def jwt(chance: Random, n: int) -> str:
    claims = {"sub": "4711", "iat": int(now(n).timestamp()), "jti": hexed(12)(chance, n)}
    parts = (b'{"alg":"HS256","typ":"JWT"}', json.dumps(claims).encode(), chance.randbytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def hexed(length: int) -> Form:
    return letters("0123456789abcdef", length)


def sampled(low: float, high: float, digits: int) -> Form:
    return lambda chance, n: round(chance.uniform(low, high), digits)


def one_of(*values: JSON) -> Form:
    return lambda chance, n: values[n]


def made(template: str) -> Form:
    return lambda chance, n: fill(template, chance, n)


WORDS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
URLSAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
FORMS: dict[str, Form] = {
    "uuid": lambda chance, n: str(UUID(int=chance.getrandbits(128), version=4)),
    "uuid hex": lambda chance, n: UUID(int=chance.getrandbits(128), version=4).hex,
    "ulid": lambda chance, n: "01JDY2" + letters(WORDS, 20)(chance, n),
    "objectid": lambda chance, n: "674ad3" + hexed(18)(chance, n),
    "nanoid": letters(URLSAFE, 21),
    "snowflake": lambda chance, n: 1_861_727_264_001_234_561 + n * 4_194_305,
    "snowflake text": lambda chance, n: str(1_861_727_264_001_234_561 + n * 4_194_305),
    "sha256": hexed(64),
    "md5": hexed(32),
    "hex": hexed(16),
    "base64": lambda chance, n: base64.b64encode(chance.randbytes(32)).decode(),
    "jwt": jwt,
    "seconds": lambda chance, n: int(now(n).timestamp()),
    "milliseconds": lambda chance, n: int(now(n).timestamp() * 1000),
    "microseconds": lambda chance, n: int(now(n).timestamp() * 1_000_000),
    "time.time()": lambda chance, n: now(n).timestamp(),
    "iso": iso(),
    "iso offset": iso(timezone(timedelta(hours=1))),
    "iso ms": iso(digits="milliseconds"),
    "iso python": iso(digits="microseconds", z="+00:00"),
    "iso naive": iso(digits="microseconds", z=""),
    "iso space": iso(t=" ", z=""),
    "iso go": one_of(
        "2026-11-30T09:00:03.217345113Z", "2026-11-30T09:00:06.6483Z", "2026-11-30T09:00:10.07942Z"
    ),
    "rfc 1123": lambda chance, n: format_datetime(now(n), usegmt=True),
    "ctime": lambda chance, n: now(n).ctime(),
    "clock": lambda chance, n: f"{now(n):%H:%M:%S}",
    "counter": lambda chance, n: 1200 + 3 * n,
    "percent": lambda chance, n: chance.randrange(11, 99),
    "load": sampled(0.1, 0.9, 3),
    "took": sampled(0.004, 0.009, 6),
    "took ms": lambda chance, n: f"{chance.uniform(1, 9):.3f}ms",
    "iso duration": lambda chance, n: f"PT{chance.uniform(1, 9):.3f}S",
    "address": lambda chance, n: f"10.0.{chance.randrange(10, 99)}.{chance.randrange(10, 99)}",
    "host and port": lambda chance, n: f"10.0.3.17:{chance.randrange(32768, 60999)}",
    "pid": lambda chance, n: chance.randrange(1000, 9999),
    "host": one_of("web-3", "web-7", "web-1"),
    "weak etag": lambda chance, n: f'W/"{hexed(12)(chance, n)}"',
    "traceparent": made("00-{md5}-{hex}-01"),
    "quote": sampled(101, 109, 2),
    "thermometer": one_of(-0.4, 1.2, -0.1),
    "whole or not": one_of(21.5, 21.75, 22.0),
    "colour": lambda chance, n: "#" + hexed(6)(chance, n),
    "fortune": one_of("Stay hungry.", "Less is more, they say.", "Know thyself."),
    "coin": one_of(True, False, False),
    "state": one_of("idle", "busy", "waiting"),
    "signed url": made("https://cdn.example.org/a/4711.png?expires={seconds}&signature={hex}"),
    "request url": made("/requests/{uuid}"),
    "sentence": made("Generated at {clock} by worker {pid}"),
    "nonce": letters(URLSAFE, 24),
}


def fill(template: str, chance: Random, n: int) -> str:
    return re.sub(r"\{([a-z0-9][a-z0-9. ()]*)\}", lambda found: str(FORMS[found[1]](chance, n)), template)


# How the same value is written by what people use.


class Raw(str):
    """A number in just these characters."""


class Dialect(NamedTuple):
    server: Headers
    kind: str = "application/json"
    between: str = ","
    after: str = ":"
    order: str = "given"
    ascii: bool = False
    slashes: bool = False
    html: bool = False
    whole: bool = False
    indent: int = 0
    end: str = ""


DIALECTS = {
    "flask": Dialect([("Server", "gunicorn"), ("Connection", "close")], order="sorted", ascii=True, end="\n"),
    "flask debug": Dialect(
        [("Server", "Werkzeug/3.1.3 Python/3.13.1")], order="sorted", ascii=True, indent=2, end="\n"
    ),
    "fastapi": Dialect([("server", "uvicorn")]),
    "django": Dialect([("Server", "WSGIServer/0.2 CPython/3.13.1")], between=", ", after=": ", ascii=True),
    "go": Dialect([("X-Runtime", "go1.23")], html=True, whole=True, end="\n"),
    "express": Dialect([("X-Powered-By", "Express")], "application/json; charset=utf-8", whole=True),
    "php": Dialect([("X-Powered-By", "PHP/8.3.14")], slashes=True, ascii=True),
    "spring": Dialect([("Keep-Alive", "timeout=60")], "application/json;charset=UTF-8", order="reversed"),
}


def written(value: JSON, to: Dialect, depth: int = 1) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=to.ascii)
        if to.slashes:
            text = text.replace("/", "\\/")
        if to.html:
            text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        return text
    if isinstance(value, float) and to.whole and value.is_integer():
        return str(int(value))
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    line, end = (
        (f"\n{' ' * to.indent * depth}", f"\n{' ' * to.indent * (depth - 1)}") if to.indent else ("", "")
    )
    if isinstance(value, list):
        return f"[{line}{(to.between + line).join(written(item, to, depth + 1) for item in value)}{end}]"
    names = {"given": list(value), "sorted": sorted(value), "reversed": list(reversed(value))}[to.order]
    members = (
        f"{json.dumps(name, ensure_ascii=to.ascii)}{to.after}{written(value[name], to, depth + 1)}"
        for name in names
    )
    return f"{{{line}{(to.between + line).join(members)}{end}}}"


# What is asked for: each has parts that stay and parts that never do.


def user(chance: Random, n: int) -> JSON:
    return {
        "id": 4711, "name": "Zoë Łukasz", "active": True, "admin": False, "nickname": None,
        "tags": ["staff", "beta", "eu"],
        "address": {"street": "Große Straße 5", "zip": "01067", "city": "Dresden", "lat": 51.0504,
                    "lon": 13.7373},
        "created_at": "2019-03-31T01:30:00+01:00", "birthday": "1990-02-28",
        "last_seen": FORMS["iso"](chance, n),
        "logins": FORMS["counter"](chance, n), "request": FORMS["uuid"](chance, n), "balance": 19.9,
        "credit": 9007199254740993, "bio": 'says <b>hi</b> & "bye" / 😀', "groups": [], "limits": {},
        "note": "",
        "avatar": "https://cdn.example.org/a/4711.png?v=3&s=64", "height": 1.7, "phone": "+49 351 4960",
    }  # fmt: skip


def order(chance: Random, n: int) -> JSON:
    items = [
        {"sku": "B-7", "title": "Brötchen", "qty": 2, "price": "19.90", "tax": 0.19, "gift": False},
        {"sku": "K-2", "title": "Kaffee & Tee", "qty": 1, "price": "20.17", "tax": 0.07, "gift": None},
        {"sku": "A-1", "title": "Apfel", "qty": 12, "price": "0.35", "tax": 0.07, "gift": True},
    ]
    return {
        "order": {"id": "A-1029", "state": "paid", "placed": "2026-11-02T23:30:00Z", "items": items,
                  "total": 64.17,
                  "currency": "EUR", "paid": True, "coupon": None,
                  "ship": {"days": 3, "express": False, "cost": 0}},
        "meta": {"took": FORMS["took"](chance, n), "node": FORMS["address"](chance, n),
                 "trace": FORMS["hex"](chance, n),
                 "at": FORMS["seconds"](chance, n)},
    }  # fmt: skip


def products(chance: Random, n: int) -> JSON:
    items = [{"id": 20 + i, "name": f"Product {i}", "price": 4.25 * i + 0.99, "stock": 7 * i,
              "views": 900 + i + 5 * n}
             for i in range(6)]  # fmt: skip
    return {"page": 2, "per_page": 6, "total": 23, "items": items, "next": "/products?page=3",
            "prev": "/products?page=1",
            "cursor": FORMS["base64"](chance, n)}  # fmt: skip


def problem(chance: Random, n: int) -> JSON:
    return {"type": "https://example.org/errors/stock", "title": "Out of stock", "status": 409,
            "retry": False,
            "detail": "Only 3 left of B-7", "instance": FORMS["request url"](chance, n)}  # fmt: skip


def series(chance: Random, n: int) -> JSON:
    """A list at the top, long, with one member in each that varies."""
    return [{"id": i, "at": f"2026-10-{1 + i // 24:02}T{i % 24:02}:00:00Z", "mean": i * i / 7,
             "read": FORMS["took"](chance, n)}
            for i in range(300)]  # fmt: skip


def shuffled(chance: Random, n: int) -> JSON:
    """What a database gives without ORDER BY."""
    teams = [
        {"id": i, "name": f"Team {i}", "members": [f"m{i}-{j}" for j in range(3)]} for i in (3, 5, 8, 11)
    ]
    roles = ["read", "write", "audit", "deploy"]
    turn = 1 + n
    return {"teams": teams[turn:] + teams[:turn], "roles": roles[turn:] + roles[:turn], "count": 4}


def gauges(chance: Random, n: int) -> JSON:
    return {"gauges": [{"name": "uptime", "value": 86400 + 4 * n}, {"name": "capacity", "value": 500},
                       {"name": "shards", "value": 16}]}  # fmt: skip


def probe(form: str) -> Form:
    return lambda chance, n: {"result": {"ok": True, "value": FORMS[form](chance, n)}, "count": 1}
