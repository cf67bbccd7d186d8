"""Sequences of requests: right ones, right ones said oddly, and wrong ones."""

import random
from collections.abc import Callable

from tests.fuzz import drafts
from tests.fuzz.drafts import (
    NAMES,
    VISIBLE,
    Draft,
    Line,
    bend_chunks,
    bend_framing,
    bend_lines,
    scar,
    some,
    value,
)

METHODS = (b"GET", b"GET", b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH")
PATHS = (
    b"/", b"//a", b"/a/../b", b"/%61/%2e%2e/c", b"/a%2Fb", b"/;p=1/x", b"/%7Eu/", b"/a/./b//c",
    b"/!$&'()*+,;=:@",
    b"/a%00b", b"/..;/x",
)  # fmt: skip
QUERIES = (b"", b"?", b"?a=b", b"?x=/../y", b"?%00", b"?a?b", b"?http://h/", b"?[]{}|^`<>")


def draft(rng: random.Random, key: str) -> Draft:
    """A plain request that carries its key in target and field."""
    method = rng.choice(METHODS)
    one = Draft(
        b"%s /k/%s HTTP/1.1\r\n" % (method, key.encode()),
        [Line(b"Host", b"a.test"), Line(b"X-Key", key.encode())],
    )
    if method in (b"POST", b"PUT", b"PATCH") or rng.random() < 0.1:
        one.body = drafts.body(rng)
        if rng.random() < 0.5:
            one.chunk(rng)
        else:
            one.lines.append(Line(b"Content-Length", b"%d" % len(one.body)))
    return one


# Right, said in another way. A request that only these have touched must be answered.


def other_case(rng: random.Random, one: Draft) -> None:
    for line in one.lines:
        line.name = drafts.odd_case(rng, line.name)


def spaces(rng: random.Random, one: Draft) -> None:
    for line in one.lines:
        line.colon = b":" + some(rng, b" \t", 0, 3)
        if line.name.lower() != b"transfer-encoding":  # llhttp takes no tab behind it
            line.tail = some(rng, b" \t", 0, 3)


def more_fields(rng: random.Random, one: Draft) -> None:
    for _ in range(rng.randint(1, 3)):
        one.insert(rng, Line(rng.choice(NAMES), value(rng)))


def one_long_field(rng: random.Random, one: Draft) -> None:
    one.insert(rng, Line(b"X-Long", some(rng, VISIBLE, 1000, 9000)))


def many_fields(rng: random.Random, one: Draft) -> None:
    one.lines += [Line(b"X-%d" % i, b"v") for i in range(rng.randint(20, 80))]


def other_target(rng: random.Random, one: Draft) -> None:
    method, target, version = one.start.split(b" ")
    path = rng.choice(PATHS[:-2]) if rng.random() < 0.9 else rng.choice(PATHS)
    one.must &= path not in PATHS[-2:]
    target = target + path + rng.choice(QUERIES)
    if rng.random() < 0.3:
        target = (
            rng.choice((b"http://", b"HTTP://", b"https://")) + rng.choice((b"b.test", b"[::1]:80")) + target
        )
    one.start = b" ".join((method, target, version))


def blank_lines(rng: random.Random, one: Draft) -> None:
    one.before = b"\r\n"


def other_chunks(rng: random.Random, one: Draft) -> None:
    one.body = one.body or drafts.body(rng)
    one.chunk(rng)
    for chunk in one.chunks or ():
        chunk.size = rng.choice((b"", b"0", b"000")) + drafts.odd_case(rng, chunk.size)
        chunk.extension = rng.choice((b"", b"", b";a", b";a=b", b';a="b"', b";a=b;c=d"))
    one.last = rng.choice((b"0\r\n", b"000\r\n", b"0;a\r\n"))


def trailers(rng: random.Random, one: Draft) -> None:
    if one.chunks is None:
        one.chunk(rng)
    one.trailers += [Line(b"X-T", value(rng)) for _ in range(rng.randint(1, 3))]


def http_10(rng: random.Random, one: Draft) -> None:
    if one.chunks is not None or one.before:
        return
    one.start = one.start.replace(b"HTTP/1.1", b"HTTP/1.0")
    one.drop(b"Connection")
    one.drop(b"Upgrade")
    if rng.random() < 0.7:
        one.insert(rng, Line(b"Connection", b"keep-alive"))


def connection(rng: random.Random, one: Draft) -> None:
    said = rng.choice((
        [Line(b"Connection", b"close")], [Line(b"Connection", b"keep-alive")], [Line(b"TE", b"trailers")],
        [Line(b"Connection", b"X-Hop, keep-alive"), Line(b"X-Hop", b"1")], [Line(b"Connection",
        b", ,Content-Length")],
        [Line(b"Connection", b"Upgrade"), Line(b"Upgrade", b"websocket")], [Line(b"Connection",
        b"host, x-y, te")],
        [Line(b"Keep-Alive", b"timeout=5")], [Line(b"Connection", b"~^`|"), Line(b"~^`|", b"1")],
        [Line(b"Proxy-Connection", b"close")], [Line(b"Connection", b"A"), Line(b"connection", b"\tClOsE ,")],
    ))  # fmt: skip
    one.must &= said[0].name != b"Proxy-Connection"  # llhttp takes it for Connection
    one.insert(rng, *(Line(line.name, line.value) for line in said))


def smuggled_body(rng: random.Random, one: Draft) -> None:
    one.body = rng.choice(drafts.EMBEDDED) * rng.randint(1, 2)
    one.drop(b"Content-Length")
    one.drop(b"Transfer-Encoding")
    one.chunks = None
    if rng.random() < 0.5 and b"HTTP/1.1" in one.start:
        one.chunk(rng)
    else:
        one.lines.append(Line(b"Content-Length", b"%d" % len(one.body)))


def no_body(rng: random.Random, one: Draft) -> None:
    one.body, one.chunks, one.trailers = b"", None, []
    one.drop(b"Transfer-Encoding")
    one.drop(b"Content-Length")
    if rng.random() < 0.5:
        one.lines.append(Line(b"Content-Length", b"0"))


def expect(rng: random.Random, one: Draft) -> None:
    one.insert(rng, Line(b"Expect", b"100-continue"))


def forged(rng: random.Random, one: Draft) -> None:
    one.insert(rng, Line(rng.choice((b"X-Forwarded-For", b"X-Forwarded-Host", b"Forwarded")), b"evil"))


# Wrong, or right by chance: the reference says which.


def start_line(rng: random.Random, one: Draft) -> None:
    method, target, version = one.start[:-2].split(b" ")
    space = rng.choice((b"  ", b"\t", b" \t", b"", b"\x0b", b"\x00", b" \r\n ", b" "))
    version = rng.choice((
        version, b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"http/1.1", b"HTTP/1.1 ", b"",
        b"HTTP/ 1.1",
        b"HTTP/01.1", b"ICE/1.0", b"RTSP/1.0",
    ))  # fmt: skip
    method = rng.choice(
        (method, method.lower(), b"CONNECT", b"PRI", b"G(T", b"", b"\x00GET", b"FOO", b" GET")
    )
    eol = rng.choice((b"\r\n", b"\r\n", b"\n", b"\r", b" \r\n", b"\r\n ", b"\r\r\n"))
    one.start = (
        method + rng.choice((b" ", b" ", space)) + target + rng.choice((b" ", b" ", space)) + version + eol
    )


def target(rng: random.Random, one: Draft) -> None:
    method, was, version = one.start.split(b" ")
    bent = rng.choice((
        b"*", b"a.test:80", b"", b"/\x00", b"/\x80\xff", b"/#f", b"/\\..\\", b"http://", b"http:///", b"ftp://h/",
        b"http://u@h/", b"/%", b"/%zz", b"/..;/", b"?q", b"/a\tb", b"/\x7f", b"/\x0b", b"/\xa0", b"/\x85",
        b"/" + b"a" * rng.choice((8000, 9000, 50000)), b"http://a b/", b"//h/../", b"/\x01",
        b"http://b.test?x", b"/?\x00",
    ))  # fmt: skip
    one.start = b" ".join((method, bent if rng.random() < 0.6 else scar(rng, was), version))


def host(rng: random.Random, one: Draft) -> None:
    if rng.random() < 0.4:
        one.drop(b"Host")
    if rng.random() < 0.8:
        one.insert(rng, Line(b"Host", rng.choice((
            b"a.test", b"b.test", b"", b"a b", b"a,b", b"a/b", b"u@a", b"a:80:90", b"[::1", b"a\x00",
            b"a\xff", b"a:x", b"%zz",
        ))))  # fmt: skip


def too_much(rng: random.Random, one: Draft) -> None:
    match rng.randrange(3):
        case 0:
            one.lines += [Line(b"A", b"b")] * rng.choice((97, 98, 99, 100, 101, 300))
        case 1:
            one.insert(rng, Line(b"A" * rng.choice((1, 66000)), b"b" * rng.choice((32000, 33000, 70000))))
        case _:
            if one.chunks is None:
                one.chunk(rng)
            one.trailers = [Line(b"A", b"b" * rng.choice((1, 500)))] * rng.choice((90, 101, 200))


def cut_short(rng: random.Random, one: Draft) -> None:
    said = one.render()
    one.start, one.lines, one.body, one.chunks = said[: rng.randrange(len(said))], [], b"", None
    one.before = one.head_end = b""


def bad_bytes(rng: random.Random, one: Draft) -> None:
    said = scar(rng, one.render())
    one.start, one.lines, one.body, one.chunks = said, [], b"", None
    one.before = one.head_end = b""


Mutation = Callable[[random.Random, Draft], None]
MILD: tuple[Mutation, ...] = (
    other_case, spaces, more_fields, one_long_field, many_fields, other_target, blank_lines, other_chunks,
    trailers,
    http_10, connection, connection, smuggled_body, no_body, expect, forged,
)  # fmt: skip
HARSH: tuple[Mutation, ...] = (
    bend_lines, bend_framing, bend_framing, bend_chunks, bend_chunks, start_line, target, host, too_much,
)  # fmt: skip
LAST: tuple[Mutation, ...] = (cut_short, bad_bytes, bad_bytes)


def sequence(rng: random.Random, prefix: str) -> list[Draft]:
    """One connection's requests, each changed at least once."""
    drafts_: list[Draft] = []
    for i in range(rng.choice((1, 2, 2, 3, 4))):
        one = draft(rng, f"{prefix}.{i}")
        for mutation in rng.choices(MILD, k=rng.choice((1, 1, 2, 3))):
            mutation(rng, one)
            one.mutations.append(mutation.__name__)
        if one.chunks is not None:
            one.start = one.start.replace(b"HTTP/1.0", b"HTTP/1.1")
        one.must &= not drafts_ or drafts_[-1].must
        one.must &= len(one.lines) < 98 and sum(len(line.value) for line in one.lines) < 30000
        if rng.random() < 0.35:
            for mutation in rng.choices(HARSH + LAST, k=rng.choice((1, 1, 1, 2))):
                if mutation in HARSH and one.mutations[-1] in ("cut_short", "bad_bytes"):
                    continue
                try:
                    mutation(rng, one)
                except ValueError:
                    continue  # a request line that an earlier one left without three parts
                one.mutations.append(mutation.__name__)
            one.must = False
        drafts_.append(one)
    return drafts_
