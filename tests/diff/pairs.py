"""Pairs of answers, made from the specification alone: half mean the same, half do not.

Nothing here knows how comparing works. An answer is (status, header fields, body); a pair comes with what is
really different about it, or with the noise that it has.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Wire = tuple[int, list[tuple[bytes, bytes]], bytes]
Spoil = Callable[[random.Random, dict[str, Any]], None]

WORDS = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "jetty",
    "knoll",
    "larch",
)


def product(rng: random.Random, number: int) -> dict[str, Any]:
    """What does not depend on when it is asked."""
    stable = random.Random(number)
    return {
        "id": 1000 + number,
        "sku": f"SKU-{number:05d}",
        "name": f"{stable.choice(WORDS)} {stable.choice(WORDS)}",
        "price": stable.randrange(100, 99999) / 100,
        "stock": stable.randrange(1, 500),
        "active": stable.random() < 0.7,
        "note": None,
        "ordered": [stable.randrange(100) for _ in range(5)],
        "lines": [
            {"line": i + 1, "sku": f"L{number}-{i}", "amount": stable.randrange(1, 9), "unit": "piece"}
            for i in range(4)
        ],
        "owner": {"name": stable.choice(WORDS), "address": {"city": stable.choice(WORDS), "zip": "01067"}},
        "created": f"2023-0{stable.randrange(1, 9)}-1{stable.randrange(0, 9)}T08:15:00Z",
        "big": 9007199254740993 + stable.randrange(10**6),
    }


def volatile(rng: random.Random, found: dict[str, Any]) -> None:
    """What each answer has anew."""
    found["request_id"] = "-".join(f"{rng.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12))
    found["served_at"] = (
        f"2024-03-{rng.randrange(10, 28)}T{rng.randrange(10, 24)}:{rng.randrange(10, 60)}"
        f":{rng.randrange(10, 60)}.{rng.randrange(1, 1000):03d}Z"
    )
    found["epoch"] = 1_700_000_000 + rng.randrange(10**6)
    found["took_ms"] = round(rng.random() * 90 + 3, 3)
    found["nonce"] = f"{rng.getrandbits(128):032x}"
    tags = ["alpha", "beta", "gamma", "delta", "omega"]
    rng.shuffle(tags)
    found["tags"] = tags
    stock = [{"site": name, "free": len(name)} for name in ("lyon", "oslo", "porto", "riga")]
    rng.shuffle(stock)
    found["sites"] = stock
    if rng.random() < 0.5:
        found["hint"] = rng.choice(WORDS)
    found["feed"] = [f"{rng.choice(WORDS)} {rng.randrange(100)}" for _ in range(rng.randrange(2, 5))]


def _reordered(rng: random.Random, value: Any) -> Any:
    if isinstance(value, dict):
        names = list(value)
        rng.shuffle(names)
        return {name: _reordered(rng, value[name]) for name in names}
    return [_reordered(rng, each) for each in value] if isinstance(value, list) else value


def _number_forms(rng: random.Random, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _number_forms(rng, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_number_forms(rng, each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 and rng.random() < 0.5:
        return float(value)
    return value


def write(rng: random.Random, found: dict[str, Any], *, plain: bool = False) -> Wire:
    """As some server may write it."""
    headers = [(b"Date", b"Mon, 04 Mar 2024 10:00:%02d GMT" % rng.randrange(60))]
    kind = b"application/json"
    if not plain:
        found = _number_forms(rng, _reordered(rng, found))
        kind = rng.choice([kind, b"application/json; charset=utf-8", b"Application/JSON"])
    text = json.dumps(
        found,
        ensure_ascii=plain or rng.random() < 0.5,
        indent=rng.choice([None, 2]),
        separators=rng.choice([(",", ":"), (", ", ": ")]),
    )
    body = text.encode()
    headers.append((b"Content-Type", kind))
    headers.append((b"Cache-Control", rng.choice([b"max-age=60, public", b"public, max-age=60"])))
    session = b"%032x" % rng.getrandbits(128)
    headers.append((b"Set-Cookie", b"sid=" + session + b"; Path=/; HttpOnly"))
    if not plain and rng.random() < 0.3:
        body = gzip.compress(body, mtime=rng.randrange(10**9))
        headers.append((b"Content-Encoding", b"gzip"))
    headers.append((b"Content-Length", b"%d" % len(body)))
    return 200, headers, body


def answer(rng: random.Random, number: int, *, plain: bool = False) -> Wire:
    found = product(rng, number)
    volatile(rng, found)
    return write(rng, found, plain=plain)


def _set(*path: str, to: Any) -> Spoil:
    def spoil(rng: random.Random, found: dict[str, Any]) -> None:
        at: Any = found
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = to(at[path[-1]]) if callable(to) else to

    return spoil


def _drop(*path: str) -> Spoil:
    def spoil(rng: random.Random, found: dict[str, Any]) -> None:
        at: Any = found
        for name in path[:-1]:
            at = at[name]
        del at[path[-1]]

    return spoil


def _swap(rng: random.Random, found: dict[str, Any]) -> None:
    found["ordered"] = [1, 2, 3, 4, 6]
    found["ordered"].reverse()


def _line(name: str, to: Any) -> Spoil:
    def spoil(rng: random.Random, found: dict[str, Any]) -> None:
        each = rng.choice(found["lines"])
        each[name] = to(each[name]) if callable(to) else to

    return spoil


def _lines(change: Callable[[list[Any]], Any]) -> Spoil:
    def spoil(rng: random.Random, found: dict[str, Any]) -> None:
        change(found["lines"])

    return spoil


BODIES: dict[str, Spoil] = {
    "a price one cent off": _set("price", to=lambda old: round(old + 0.01, 2)),
    "a number as a string": _set("stock", to=str),
    "a string as a number": _set("owner", "address", "zip", to=1067),
    "a leading zero lost": _set("owner", "address", "zip", to="1067"),
    "a member gone": _drop("sku"),
    "a deep member gone": _drop("owner", "address", "city"),
    "a null left out": _drop("note"),
    "a null that is text": _set("note", to=""),
    "a value that is null": _set("name", to=None),
    "a member more": lambda rng, found: found.update(debug=True),
    "a boolean turned": _set("active", to=lambda old: not old),
    "a boolean as a number": _set("active", to=lambda old: int(old)),
    "another case": _set("name", to=lambda old: old.upper()),
    "a space behind": _set("name", to=lambda old: old + " "),
    "the last digit of a large number": _set("big", to=lambda old: old + 1),
    "a large number through a float": _set("big", to=lambda old: int(float(old)) + 2),
    "an array's order": _swap,
    "an item gone": _lines(lambda lines: lines.pop()),
    "the first item gone": _lines(lambda lines: lines.pop(0)),
    "an item twice": _lines(lambda lines: lines.append(dict(lines[0]))),
    "items turned around": _lines(lambda lines: lines.reverse()),
    "no items": _lines(lambda lines: lines.clear()),
    "an item's number": _line("amount", lambda old: old + 1),
    "an item's text": _line("unit", "pieces"),
    "an item's member gone": lambda rng, found: found["lines"][2].pop("unit"),
    "another date": _set("created", to=lambda old: old.replace("2023", "2022")),
    "a date of another form": _set("created", to=lambda old: old.replace("T", " ").rstrip("Z")),
    "a zone in other words": _set("served_at", to=lambda old: old.replace("T", " ").rstrip("Z")),
    "seconds as milliseconds": _set("epoch", to=lambda old: old * 1000),
    "an identifier of another form": _set("request_id", to="42"),
    "an identifier that is missing": _drop("request_id"),
    "a time that is missing": _set("served_at", to=None),
    "an empty nonce": _set("nonce", to=""),
    "a tag that is new": _set("tags", to=lambda old: [*old[:-1], "sigma"]),
    "a tag too few": _set("tags", to=lambda old: old[1:]),
    "a value in a shuffled list": lambda rng, found: found["sites"][0].update(free=99),
    "a negative time": _set("took_ms", to=lambda old: -old),
    "an object as an array": _set("owner", to=lambda old: [old]),
    "accents that are lost": _set("owner", "name", to="cafe"),
}


def _status(code: int) -> Callable[[random.Random, Wire], Wire]:
    return lambda rng, wire: (code, wire[1], wire[2])


def _header(name: bytes, value: bytes | None) -> Callable[[random.Random, Wire], Wire]:
    def change(rng: random.Random, wire: Wire) -> Wire:
        status, headers, body = wire
        kept = [(key, old) for key, old in headers if key != name]
        return status, kept if value is None else [*kept, (name, value)], body

    return change


def _content(to: Callable[[bytes], bytes]) -> Callable[[random.Random, Wire], Wire]:
    def change(rng: random.Random, wire: Wire) -> Wire:
        status, headers, body = wire
        if (b"Content-Encoding", b"gzip") in headers:
            return status, headers, gzip.compress(to(gzip.decompress(body)))
        return status, headers, to(body)

    return change


WIRES: dict[str, Callable[[random.Random, Wire], Wire]] = {
    "created instead of ok": _status(201),
    "not found": _status(404),
    "a failure": _status(500),
    "overloaded": _status(503),
    "another media type": _header(b"Content-Type", b"text/html; charset=utf-8"),
    "no media type": _header(b"Content-Type", None),
    "not to be cached": _header(b"Cache-Control", b"no-store"),
    "no word on caching": _header(b"Cache-Control", None),
    "a cookie that scripts can read": _header(b"Set-Cookie", b"sid=%032x; Path=/" % 7),
    "no cookie": _header(b"Set-Cookie", None),
    "a redirect": _header(b"Location", b"/elsewhere"),
    "no body": _content(lambda body: b""),
    "half a body": _content(lambda body: body[: len(body) // 2]),
    "an error page": _content(lambda body: b"<html><h1>It works!</h1></html>"),
}


def _text(rng: random.Random, real: bool) -> tuple[Wire, Wire]:
    words = [rng.choice(WORDS) for _ in range(40)]
    headers = [(b"Content-Type", b"text/plain; charset=utf-8")]
    changed = list(words)
    if real:
        at = rng.randrange(len(words))
        changed[at] += rng.choice(["s", " ", "!"])
    return (200, headers, " ".join(words).encode()), (200, list(headers), " ".join(changed).encode())


def _bytes(rng: random.Random, real: bool) -> tuple[Wire, Wire]:
    data = rng.randbytes(500)
    changed = bytearray(data)
    if real:
        changed[rng.randrange(500)] ^= 1 << rng.randrange(8)
    headers = [(b"Content-Type", b"image/png")]
    return (200, headers, data), (200, list(headers), bytes(changed))


def themselves(seed: int, count: int) -> Iterator[tuple[Wire, Wire]]:
    """The primary's answers to one request, and to the same once more."""
    rng = random.Random(f"themselves {seed}")
    for number in range(count):
        yield answer(rng, number, plain=True), answer(rng, number, plain=True)


def noisy(seed: int, count: int) -> Iterator[tuple[str, Wire, Wire]]:
    """Pairs that mean the same."""
    rng = random.Random(f"noisy {seed}")
    for number in range(count):
        if number % 10 == 8:
            yield "text", *_text(rng, False)
        elif number % 10 == 9:
            yield "bytes", *_bytes(rng, False)
        else:
            yield "json", answer(rng, number, plain=True), answer(rng, number)


def real(seed: int, count: int) -> Iterator[tuple[str, Wire, Wire]]:
    """Pairs with one real difference, among the same noise."""
    rng = random.Random(f"real {seed}")
    kinds: list[str] = [*BODIES, *WIRES, "text", "bytes"]
    for number in range(count):
        kind = kinds[number % len(kinds)]
        if kind == "text":
            yield kind, *_text(rng, True)
        elif kind == "bytes":
            yield kind, *_bytes(rng, True)
        elif kind in WIRES:
            yield kind, answer(rng, number, plain=True), WIRES[kind](rng, answer(rng, number))
        else:
            left = answer(rng, number, plain=True)
            found = product(rng, number)
            volatile(rng, found)
            spoiled = copy.deepcopy(found)
            BODIES[kind](rng, spoiled)
            yield kind, left, write(rng, spoiled)
