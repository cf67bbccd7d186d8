"""Pairs of answers in the shapes of public APIs, made by another hand than the one that tuned the comparing:
from `docs/shadow.md` and what such APIs answer, and from how services really break when they are rewritten.

A `Case` is a route: the service as it is, with noise of its own in each answer, the one that is to take its
place, and what is really different about that one, or nothing.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Fields = list[tuple[bytes, bytes]]
Wire = tuple[int, Fields, bytes]
START = datetime.datetime(2026, 3, 29, 8, 30, tzinfo=datetime.UTC)
PEOPLE = ("Ada", "Grace", "Edsger", "Barbara", "Alan", "Frances", "Tony", "Radia", "Donald", "Margaret")
CITIES = ("Jena", "Porto", "Lund", "Ghent", "Graz", "Brno", "Turku", "Delft")
THINGS = ("kettle", "lamp", "shelf", "anvil", "scarf", "compass", "easel", "mortar")


class Case(NamedTuple):
    name: str
    old: Callable[[int], Wire]
    """The answer to the n-th request, with new noise each time it is asked."""
    new: Callable[[int], Wire]


class Noise:
    """What differs between any two answers."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.calls = 0

    def now(self) -> datetime.datetime:
        self.calls += 1
        return START + datetime.timedelta(seconds=self.calls * 3.7 + self.rng.random())

    def iso(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def millis(self) -> int:
        return int(self.now().timestamp() * 1000)

    def hex(self, n: int) -> str:
        return f"{self.rng.getrandbits(4 * n):0{n}x}"

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def http_date(self) -> str:
        return self.now().strftime("%a, %d %b %Y %H:%M:%S GMT")


Body = dict[str, Any] | list[Any]
Shape = Callable[[int, Noise], Body]


def issues(n: int, noise: Noise) -> Body:
    """GitHub: a list of issues."""
    rng = random.Random(f"issues{n}")
    return [
        {
            "id": 90000 + n * 30 + i,
            "node_id": f"I_kw{n:04d}{i}",
            "number": 500 - i,
            "title": f"{rng.choice(THINGS)} breaks {rng.choice(THINGS)}",
            "user": {"login": rng.choice(PEOPLE).lower(), "id": rng.randint(1, 9999), "site_admin": False},
            "labels": [
                {"name": name, "color": f"{rng.getrandbits(24):06x}"} for name in rng.sample(THINGS, 2)
            ],
            "state": rng.choice(["open", "closed"]),
            "comments": rng.randint(0, 40),
            "created_at": f"2025-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T0{rng.randint(0, 9)}:12:33Z",
            "closed_at": None,
            "body": f"When I {rng.choice(THINGS)} the {rng.choice(THINGS)}, it does not. "
            * rng.randint(1, 4),
        }
        for i in range(rng.randint(3, 6))
    ]


def charge(n: int, noise: Noise) -> Body:
    """Stripe: one charge, with the id of the request that asked for it."""
    rng = random.Random(f"charge{n}")
    return {
        "id": f"ch_3M{rng.getrandbits(60):015x}",
        "object": "charge",
        "amount": rng.randint(100, 99999),
        "currency": rng.choice(["eur", "usd", "chf"]),
        "created": 1700000000 + n * 61,
        "paid": True,
        "refunded": False,
        "fee_rate": round(rng.uniform(0.01, 0.04), 4),
        "billing_details": {
            "name": rng.choice(PEOPLE),
            "address": {"city": rng.choice(CITIES), "line2": None},
        },
        "outcome": {"risk_score": rng.randint(0, 99), "network_status": "approved_by_network"},
        "metadata": {"order": str(6000 + n)},
        "request": {"id": f"req_{noise.hex(14)}", "served_at": noise.iso()},
    }


def products(n: int, noise: Noise) -> Body:
    """Shopify: products with variants, a page of them."""
    rng = random.Random(f"products{n}")
    return {
        "products": [
            {
                "id": 632910 + 10 * n + i,
                "title": f"{rng.choice(CITIES)} {rng.choice(THINGS)}",
                "vendor": rng.choice(PEOPLE),
                "tags": rng.sample(THINGS, 3),
                "variants": [
                    {
                        "sku": f"V-{n}-{i}-{j}",
                        "price": f"{rng.randint(5, 200)}.{rng.randint(0, 99):02d}",
                        "grams": rng.randint(10, 900),
                        "inventory_quantity": rng.randint(0, 50),
                    }
                    for j in range(2)
                ],
                "published_at": "2024-11-03T10:00:00+01:00",
            }
            for i in range(3)
        ],
        "page": {"number": n % 7 + 1, "size": 3, "total": 812},
        "trace_id": noise.hex(32),
    }


def weather(n: int, noise: Noise) -> Body:
    """A forecast: numbers, units, hours in order."""
    rng = random.Random(f"weather{n}")
    return {
        "latitude": round(rng.uniform(45, 60), 4),
        "longitude": round(rng.uniform(5, 25), 4),
        "generationtime_ms": round(noise.rng.uniform(0.05, 3), 6),
        "timezone": "Europe/Berlin",
        "utc_offset_seconds": 7200,
        "hourly_units": {"temperature_2m": "°C", "precipitation": "mm"},
        "hourly": {
            "time": [f"2026-06-01T{hour:02d}:00" for hour in range(6)],
            "temperature_2m": [round(rng.uniform(-5, 30), 1) for _ in range(6)],
            "precipitation": [round(max(0.0, rng.uniform(-2, 3)), 2) for _ in range(6)],
        },
        "alerts": [],
    }


def profile(n: int, noise: Noise) -> Body:
    """A user's page with a session of its own."""
    rng = random.Random(f"profile{n}")
    return {
        "user": {
            "id": n,
            "name": rng.choice(PEOPLE),
            "email_verified": rng.random() < 0.5,
            "balance": round(rng.uniform(0, 500), 2),
            "birthday": f"19{rng.randint(50, 99)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}",
            "manager": None,
            "roles": sorted(rng.sample(["admin", "editor", "reader", "owner"], 2)),
            "followers": rng.randint(0, 90000),
        },
        "csrf": noise.hex(40),
        "nonce": noise.uuid(),
        "expires": noise.millis() + 3600000,
        "cache": {"age": noise.rng.randint(0, 300), "node": f"edge-{noise.rng.randint(1, 30)}"},
    }


def search(n: int, noise: Noise) -> Body:
    """A search engine's answer: how long it took, hits with scores, facets."""
    rng = random.Random(f"search{n}")
    return {
        "took": noise.rng.randint(1, 90),
        "timed_out": False,
        "query_id": noise.uuid(),
        "total": {"value": rng.randint(10, 5000), "relation": "eq"},
        "hits": [
            {
                "_id": f"d{rng.randint(0, 10**6)}",
                "_score": round(9.5 - i - rng.random() / 2, 5),
                "_source": {
                    "title": f"{rng.choice(THINGS)} {i}",
                    "price": rng.randint(1, 99),
                    "currency": "EUR",
                },
            }
            for i in range(4)
        ],
        "facets": {city: rng.randint(1, 50) for city in rng.sample(CITIES, 3)},
    }


JSON: tuple[Shape, ...] = (issues, charge, products, weather, profile, search)


def head(kind: str, noise: Noise, body: bytes) -> Fields:
    return [
        (b"Content-Type", kind.encode()),
        (b"Date", noise.http_date().encode()),
        (b"X-Request-Id", noise.uuid().encode()),
        (b"ETag", f'W/"{noise.hex(16)}"'.encode()),
        (b"Age", str(noise.rng.randint(0, 600)).encode()),
        (b"Cache-Control", b"private, max-age=60"),
        (b"Vary", b"Accept, Accept-Encoding"),
        (b"Content-Length", str(len(body)).encode()),
    ]


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def plainly(shape: Shape, noise: Noise) -> Callable[[int], Wire]:
    def answer(n: int) -> Wire:
        body = dumped(shape(n, noise))
        return 200, head("application/json", noise, body), body

    return answer


# -- what is really different


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """All that is in a value, from the outside in."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in children:
        yield (*path, key), inner
        yield from places(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


NOISY = {"request", "trace_id", "generationtime_ms", "csrf", "nonce", "expires", "cache", "took", "query_id"}


def some(rng: random.Random, value: Any, fits: Callable[[Any], bool]) -> tuple[Any, Any] | None:
    """The holder and the key of a place that fits, away from the noise."""
    found = [path for path, inner in places(value) if not NOISY & set(path) and fits(inner)]
    if not found:
        return None
    path = rng.choice(found)
    return at(value, path[:-1]), path[-1]


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


Change = Callable[[random.Random, Any], bool]


def replaced(fits: Callable[[Any], bool], by: Callable[[Any], Any]) -> Change:
    def change(rng: random.Random, value: Any) -> bool:
        place = some(rng, value, lambda inner: fits(inner) and by(inner) != inner)
        if place is None:
            return False
        place[0][place[1]] = by(place[0][place[1]])
        return True

    return change


def missing(rng: random.Random, value: Any) -> bool:
    place = some(rng, value, lambda inner: True)
    names = [(h, k) for h, k in [place] if isinstance(h, dict)] if place else []
    for holder, key in names:
        del holder[key]
    return bool(names)


def null_is_left_out(rng: random.Random, value: Any) -> bool:
    place = some(rng, value, lambda inner: inner is None)
    if place is None or not isinstance(place[0], dict):
        return False
    del place[0][place[1]]
    return True


def last_of_page_lost(rng: random.Random, value: Any) -> bool:
    place = some(rng, value, lambda inner: isinstance(inner, list) and len(inner) > 1)
    if place is None and isinstance(value, list):
        value.pop()
        return True
    if place is None:
        return False
    place[0][place[1]] = place[0][place[1]][:-1]
    return True


def doubled(rng: random.Random, value: Any) -> bool:
    items = value if isinstance(value, list) else None
    place = some(rng, value, lambda inner: isinstance(inner, list) and len(inner) > 1)
    items = items if items is not None else place and place[0][place[1]]
    if not items:
        return False
    items.insert(1, items[0])
    return True


def reordered(rng: random.Random, value: Any) -> bool:
    place = some(
        rng, value, lambda inner: isinstance(inner, list) and len(inner) > 1 and inner != inner[::-1]
    )
    items = value if isinstance(value, list) else place and place[0][place[1]]
    if not items:
        return False
    items.reverse()
    return True


def shifted(text: str) -> str:
    """An hour later: a time zone taken for another."""
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M"):
        try:
            moment = datetime.datetime.strptime(text, form)
        except ValueError:
            continue
        return (moment + datetime.timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    return text


def renamed(rng: random.Random, value: Any) -> bool:
    place = some(rng, value, lambda inner: True)
    if place is None or not isinstance(place[0], dict) or "_" not in place[1].strip("_"):
        return False
    first, *rest = place[1].split("_")
    place[0][first + "".join(word.title() for word in rest)] = place[0].pop(place[1])
    return True


def extra(rng: random.Random, value: Any) -> bool:
    place = some(rng, value, lambda inner: isinstance(inner, dict))
    if place is None:
        return False
    place[0][place[1]]["debug_sql"] = "SELECT 1"
    return True


def wrapped(rng: random.Random, value: Any) -> bool:
    place = some(rng, value, lambda inner: isinstance(inner, dict))
    if place is None:
        return False
    place[0][place[1]] = [place[0][place[1]]]
    return True


CHANGES: dict[str, Change] = {
    "a member is missing": missing,
    "null is left out": null_is_left_out,
    "a name in camel case": renamed,
    "a member too many": extra,
    "an object became a list": wrapped,
    "the page lost its last item": last_of_page_lost,
    "an item twice": doubled,
    "a list the other way round": reordered,
    "a number became a string": replaced(is_number, str),
    "a string became a number": replaced(lambda v: isinstance(v, str) and v.isdigit(), int),
    "off by one": replaced(lambda v: isinstance(v, int) and not isinstance(v, bool), lambda v: v + 1),
    "rounded": replaced(lambda v: isinstance(v, float), lambda v: float(round(v))),
    "cents for euros": replaced(is_number, lambda v: v * 100),
    "negative": replaced(lambda v: is_number(v) and v, lambda v: -v),
    "a flag turned": replaced(lambda v: isinstance(v, bool), lambda v: not v),
    "false for null": replaced(lambda v: v is None, lambda v: False),
    "an empty string for null": replaced(lambda v: v is None, lambda v: ""),
    "null for a value": replaced(lambda v: isinstance(v, str), lambda v: None),
    "an hour later": replaced(lambda v: isinstance(v, str) and shifted(v) != v, shifted),
    "text cut short": replaced(lambda v: isinstance(v, str) and len(v) > 12, lambda v: v[:10]),
    "text with entities": replaced(
        lambda v: isinstance(v, str) and " " in v, lambda v: v.replace(" ", "&#32;")
    ),
    "another currency": replaced(lambda v: v in ("eur", "usd", "chf", "EUR"), lambda v: "gbp"),
    "letters broken by a charset": replaced(
        lambda v: isinstance(v, str) and not v.isascii(), lambda v: v.encode().decode("latin-1")
    ),
    "upper case": replaced(lambda v: isinstance(v, str) and v.islower(), str.upper),
    "white space around": replaced(lambda v: isinstance(v, str) and v != "", lambda v: v + " "),
    "a stale value": replaced(
        lambda v: isinstance(v, int) and v > 40 and not isinstance(v, bool), lambda v: v - 37
    ),
    "another element": replaced(lambda v: v in PEOPLE or v in CITIES, lambda v: v[::-1]),
}


def spoilt(shape: Shape, noise: Noise, change: Change, seed: int) -> Callable[[int], Wire] | None:
    rng = random.Random(seed)
    if not change(rng, json.loads(dumped(shape(0, Noise(0))))):
        return None

    def answer(n: int) -> Wire:
        value = json.loads(dumped(shape(n, noise)))
        change(random.Random(seed + n), value)
        body = dumped(value)
        return 200, head("application/json", noise, body), body

    return answer


def feed(n: int, noise: Noise, *, spoil: str = "") -> Wire:
    rng = random.Random(f"feed{n}")
    items = "".join(
        f"<item><title>{rng.choice(THINGS)} {i}</title><guid>{n}-{i}</guid>"
        f"<pubDate>Mon, 0{i + 1} Jun 2026 10:00:00 GMT</pubDate></item>"
        for i in range(3)
    )
    if spoil == "item":
        items = items[: items.rindex("<item>")]
    text = f'<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>{items}</channel></rss>'
    if spoil == "text":
        text = text.replace("News", "new")
    body = text.encode()
    return 200, head("application/rss+xml", noise, body), body


def table(n: int, noise: Noise, *, spoil: str = "") -> Wire:
    rng = random.Random(f"table{n}")
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";" if spoil == "text" else ",")
    rows = [
        ("city", "thing", "count"),
        *((rng.choice(CITIES), rng.choice(THINGS), rng.randint(1, 99)) for _ in range(5)),
    ]
    writer.writerows(rows[:-1] if spoil == "item" else rows)
    body = out.getvalue().encode()
    return 200, head("text/csv; charset=utf-8", noise, body), body


def page(n: int, noise: Noise, *, spoil: str = "") -> Wire:
    rng = random.Random(f"page{n}")
    items = [rng.choice(THINGS) for _ in range(4)]
    if spoil == "item":
        items.pop()
    price = "12.50 €" if spoil != "text" else "12.5 €"
    body = (
        f"<!doctype html><html><body><h1>{rng.choice(CITIES)}</h1><ul>"
        + "".join(f"<li>{each}</li>" for each in items)
        + f"</ul><p>{price}</p></body></html>"
    ).encode()
    return 200, head("text/html; charset=utf-8", noise, body), body


def plain(n: int, noise: Noise, *, spoil: str = "") -> Wire:
    rng = random.Random(f"plain{n}")
    lines = [f"{rng.choice(THINGS)}: {rng.randint(1, 999)}" for _ in range(4)]
    if spoil == "item":
        lines.pop(1)
    body = ("\r\n" if spoil == "text" else "\n").join(lines).encode()
    return 200, head("text/plain", noise, body), body


TEXTS: tuple[Callable[..., Wire], ...] = (feed, table, page, plain)


def about(name: str, rng: random.Random, wire: Wire) -> Wire:
    """A difference that is not in the body."""
    status, fields, body = wire
    others: dict[str, dict[bytes, bytes | None]] = {
        "another type": {b"Content-Type": b"text/html"},
        "may be stored by all": {b"Cache-Control": b"public, max-age=60"},
        "no Vary": {b"Vary": None},
    }
    other = others.get(name, {})
    if name == "404 for 200":
        status = 404
    elif name == "201 for 200":
        status = 201
    elif name == "500 for 200":
        status, body = 500, b'{"error": "boom"}'
    elif name == "empty":
        body = b""
    elif name == "not whole":
        body = body[: len(body) // 2]
    kept = [(key, other.get(key, value)) for key, value in fields]
    return status, [(key, value) for key, value in kept if value is not None], body


WIRE = (
    "another type",
    "may be stored by all",
    "no Vary",
    "404 for 200",
    "201 for 200",
    "500 for 200",
    "empty",
    "not whole",
)


def real(seed: int, count: int = 200) -> Iterator[Case]:
    """Cases with a real difference in every answer of the new side that has a place for it."""
    rng = random.Random(seed)
    made = 0
    while made < count:
        kind = rng.random()
        old, new = Noise(rng.getrandbits(32)), Noise(rng.getrandbits(32))
        if kind < 0.75:
            name, shape = rng.choice(sorted(CHANGES)), rng.choice(JSON)
            answer = spoilt(shape, new, CHANGES[name], rng.getrandbits(32))
            if answer is None:
                continue
            yield Case(f"{shape.__name__}: {name}", plainly(shape, old), answer)
        elif kind < 0.88:
            text, way = rng.choice(TEXTS), rng.choice(["item", "text"])
            yield Case(
                f"{text.__name__}: {way}",
                lambda n, text=text, old=old: text(n, old),  # type: ignore[misc]
                lambda n, text=text, new=new, way=way: text(n, new, spoil=way),  # type: ignore[misc]
            )
        else:
            name, shape = rng.choice(WIRE), rng.choice(JSON)
            right = plainly(shape, new)
            yield Case(
                f"{shape.__name__}: {name}",
                plainly(shape, old),
                lambda n, right=right, name=name: about(name, random.Random(n), right(n)),  # type: ignore[misc]
            )
        made += 1


# -- what means the same


def other_order(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: other_order(value[name], rng) for name in names}
    return [other_order(each, rng) for each in value] if isinstance(value, list) else value


def other_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: other_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [other_numbers(each) for each in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


FORMS = ("as it is", "key order", "indented", "escapes", "numbers")
WAYS = (*FORMS, "type's charset", "header case", "all of it")


def written(way: str, value: Any, rng: random.Random) -> bytes:
    every = way == "all of it"
    if every or way == "key order":
        value = other_order(value, rng)
    if every or way == "numbers":
        value = other_numbers(value)
    indent = 2 if every or way == "indented" else None
    return json.dumps(value, indent=indent, ensure_ascii=not (every or way == "escapes")).encode()


def noisy(seed: int, count: int = 200) -> Iterator[Case]:
    """Cases whose new side differs in nothing that means anything."""
    rng = random.Random(seed)
    for _ in range(count):
        old, new = Noise(rng.getrandbits(32)), Noise(rng.getrandbits(32))
        if rng.random() < 0.12:
            text = rng.choice(TEXTS)
            yield Case(
                text.__name__,
                lambda n, text=text, old=old: text(n, old),  # type: ignore[misc]
                lambda n, text=text, new=new: text(n, new),  # type: ignore[misc]
            )
            continue
        shape, way = rng.choice(JSON), rng.choice(WAYS)

        def answer(n: int, shape: Shape = shape, new: Noise = new, way: str = way) -> Wire:
            body = written(way, shape(n, new), random.Random(n))
            charset = "; charset=utf-8" if way in ("type's charset", "all of it") else ""
            fields = head(f"application/json{charset}", new, body)
            if way in ("header case", "all of it"):
                fields = [(name.lower(), value) for name, value in reversed(fields)]
            return 200, fields, body

        yield Case(f"{shape.__name__}: {way}", plainly(shape, old), answer)
