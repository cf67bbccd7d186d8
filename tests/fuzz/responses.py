"""Answers of an upstream: right ones, right ones said oddly, and wrong ones."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import drafts
from tests.fuzz.drafts import Draft, Line, bend_chunks, bend_framing, bend_lines, scar, value
from tests.fuzz.reference import read_response
from tests.fuzz.requests import (
    Mutation,
    bad_bytes,
    cut_short,
    many_fields,
    more_fields,
    no_body,
    one_long_field,
    other_case,
    other_chunks,
    spaces,
    trailers,
)


@dataclass
class Asked:
    """A right request, and what the upstream will say to it."""

    method: str
    minor: int
    upgrade: bool
    said: bytes
    must: bool
    mutations: list[str]


def draft(rng: random.Random, key: str) -> Draft:
    one = Draft(b"HTTP/1.1 200 OK\r\n", [Line(b"X-Key", key.encode()), Line(b"Server", b"u")])
    one.body = key.encode() + b":" + drafts.body(rng)
    shape = rng.random()
    if shape < 0.4:
        one.chunk(rng)
    elif shape < 0.9:
        one.lines.append(Line(b"Content-Length", b"%d" % len(one.body)))
    return one


def other_status(rng: random.Random, one: Draft) -> None:
    one.start = rng.choice((
        b"HTTP/1.1 201 Created\r\n", b"HTTP/1.1 404 \r\n", b"HTTP/1.1 500 caf\xe9\r\n",
        b"HTTP/1.1 599 a b\r\n",
        b"HTTP/1.1 200 \r\n",
    ))  # fmt: skip


def bodiless(rng: random.Random, one: Draft) -> None:
    no_body(rng, one)
    one.drop(b"Content-Length")
    one.start = rng.choice((b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 304 Not Modified\r\n"))


def interim(rng: random.Random, one: Draft) -> None:
    for _ in range(rng.randint(1, 3)):
        status = rng.choice((b"100 Continue", b"102 Processing", b"103 Early Hints"))
        one.before += b"HTTP/1.1 " + status + b"\r\n" + rng.choice((b"", b"Link: </a>\r\n")) + b"\r\n"


def closing(rng: random.Random, one: Draft) -> None:
    one.insert(rng, Line(b"Connection", rng.choice((b"close", b"close, X-Hop", b"keep-alive", b"Server"))))


def http_10(rng: random.Random, one: Draft) -> None:
    if one.chunks is None:
        one.start = one.start.replace(b"HTTP/1.1", b"HTTP/1.0")


def start_line(rng: random.Random, one: Draft) -> None:
    one.start = rng.choice((
        b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200\r\n", b"HTTP/1.1 20 OK\r\n", b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/2.0 200 OK\r\n",
        b"HTTP/1.1 600 X\r\n", b"HTTP/1.1 000 X\r\n", b"HTTP/1.1 099 X\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"HTTP/1.1  200 OK\r\n", b"HTTP/1.1 200 O\x00K\r\n", b"HTTP/1.1 200 O\rK\r\n", b"http/1.1 200 OK\r\n",
        b"200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n", b"HTTP/1.1 +20 OK\r\n", b"HTTP/1.2 200 OK\r\n", b"ICY 200 OK\r\n",
        b"HTTP/1.1 199 X\r\n",
        b"HTTP/1.1 204 X\r\n", b"HTTP/1.1 304 X\r\n", b"HTTP/1.1 205 X\r\n", b"\r\nHTTP/1.1 200 OK\r\n",
    ))  # fmt: skip


def surplus(rng: random.Random, one: Draft) -> None:
    said = one.render() + rng.choice((*drafts.EMBEDDED, b"x", b"\n", one.render()))
    one.start, one.lines, one.body, one.chunks = said, [], b"", None
    one.before = one.head_end = b""


def wrong_upgrade(rng: random.Random, one: Draft) -> None:
    one.insert(rng, Line(b"Connection", b"Upgrade"), Line(b"Upgrade", value(rng)))


MILD: tuple[Mutation, ...] = (
    other_case, spaces, more_fields, one_long_field, many_fields, other_chunks, trailers, other_status,
    interim, closing,
    http_10, bodiless,
)  # fmt: skip
HARSH: tuple[Mutation, ...] = (
    bend_lines, bend_framing, bend_framing, bend_chunks, bend_chunks, start_line, start_line, wrong_upgrade,
)  # fmt: skip
LAST: tuple[Callable[[random.Random, Draft], None], ...] = (cut_short, cut_short, bad_bytes, surplus)


def sequence(rng: random.Random, prefix: str) -> list[Asked]:
    """One client connection's requests with their answers, each answer changed at least once."""
    asked = []
    for i in range(rng.choice((1, 2, 2, 3))):
        one = draft(rng, f"{prefix}.{i}")
        for mutation in rng.choices(MILD, k=rng.choice((1, 1, 2, 3))):
            mutation(rng, one)
            one.mutations.append(mutation.__name__)
        if one.chunks is not None and b"HTTP/1.0" in one.start:
            one.start = one.start.replace(b"HTTP/1.0", b"HTTP/1.1")
        harsh = rng.random() < 0.6
        if harsh:
            mutation = rng.choice(HARSH + LAST)
            mutation(rng, one)
            one.mutations.append(mutation.__name__)
        minor = 0 if rng.random() < 0.1 else 1
        said = one.render()
        if rng.random() < 0.02:
            said, harsh = scar(rng, said), True
            one.mutations.append("scar")
        upgrade = minor == 1 and rng.random() < 0.05
        method = rng.choice(("GET", "GET", "POST", "HEAD"))
        if method == "HEAD" and rng.random() < 0.8:
            said = said.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if not one.before else said
        told = read_response(said, method)
        harsh |= not told.whole or told.surplus > 0 or len(one.lines) > 98
        asked.append(Asked(method, minor, upgrade, said, one.must and not harsh, one.mutations))
        if upgrade or not minor:
            break
    return asked
