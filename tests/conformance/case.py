"""A case: what the client says, what the upstream answers, and what must be true of both ends afterwards.

Some things hold in every case and are not repeated in the table (see `run.invariants`): what the upstream
receives is HTTP/1.1 to a strict reader, no hidden request reaches it, and nothing of the case is ever seen by
another client.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from tests.harness.wire import Request, Response


class Act(Enum):
    """What an upstream does between the bytes it sends."""

    CLOSE = "closes the connection"
    RESET = "resets the connection"
    GATE = "waits until the client has its answers"


Piece = bytes | Act

OK = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok"
HOST = b"Host: gateway.test\r\n"
LAST_CHUNK = b"0\r\n\r\n"
# What hides in bodies and behind messages; a proxy that lets it through has been smuggled past.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


class Finish(Enum):
    """How the client ends what it says."""

    AFTER = "asks /after on the same connection, unless it was closed"
    LATER = "asks /after once the upstream's connection has been given up"
    EOF = "reads to the end of the connection"
    ANSWERS = "reads one answer a request, and no further"
    HALF_CLOSE = "ends its side, and reads to the end"
    LEAVE = "resets the connection at once"


@dataclass
class Seen:
    """What both ends saw of a case."""

    requests: list[Request] = field(default_factory=list)
    partial: int = 0
    violations: list[str] = field(default_factory=list)
    hidden: bool = False
    after: bool = False
    answers: list[Response] = field(default_factory=list)
    cut: str | None = None
    garbled: str | None = None
    closed: bool = False
    reset: bool = False
    hung: bool = False
    dropped: bool = False
    told: bool = False
    surplus: bytes = b""
    strangers: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        answers = [(a.status, a.body[:60]) for a in self.answers]
        there = [(r.head.raw, r.body[:60]) for r in self.requests]
        return (
            f"answers {answers}, cut {self.cut!r}, closed {self.closed}, reset {self.reset}, "
            f"hung {self.hung}, upstream saw {there}, partial {self.partial}, after {self.after}, "
            f"dropped {self.dropped}"
        )


@dataclass(frozen=True)
class Check:
    """A predicate with a name: returns None, or what is wrong."""

    name: str
    test: Callable[[Seen], str | None]
    waits: bool = False  # for the upstream's connection to end

    def __call__(self, seen: Seen) -> str | None:
        return self.test(seen)

    def __or__(self, other: "Check") -> "Check":
        def either(seen: Seen) -> str | None:
            first, second = self(seen), other(seen)
            return None if first is None or second is None else f"{first}; nor: {second}"

        return Check(f"{self.name}, or {other.name}", either, self.waits or other.waits)

    def __and__(self, other: "Check") -> "Check":
        return Check(
            f"{self.name}, {other.name}", lambda seen: self(seen) or other(seen), self.waits or other.waits
        )


@dataclass(frozen=True)
class Case:
    """One line of the table.

    `says`: the client's bytes; `answers`: the upstream's, to each request of the case; `methods`: those of
    the requests, for reading the answers; `early`: the upstream answers before it reads the body;
    `may`: what the RFC lets another proxy do, where this one keeps to `expect`.
    """

    name: str
    rule: str
    says: bytes
    expect: Check
    answers: tuple[Piece, ...] = (OK,)
    finish: Finish = Finish.AFTER
    methods: tuple[str, ...] = ()
    early: bool = False
    may: Check | None = None

    def method(self, index: int) -> str:
        methods = self.methods or (self.says.lstrip().split(b" ", 1)[0].decode("latin-1"),)
        return methods[index] if index < len(methods) else "GET"


# What the client says


def ask(
    method: str, *fields: bytes, target: bytes = b"/case", body: bytes = b"", version: bytes = b"1.1"
) -> bytes:
    """A request with Host, these field lines, and a body that they announce."""
    lines = b"".join(line + b"\r\n" for line in fields)
    return method.encode() + b" " + target + b" HTTP/" + version + b"\r\n" + HOST + lines + b"\r\n" + body


def get(*fields: bytes, target: bytes = b"/case") -> bytes:
    return ask("GET", *fields, target=target)


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return ask("POST", *fields, body=body)


def chunked(body: bytes, *fields: bytes) -> bytes:
    """A POST whose body follows as chunks, as given."""
    return post(b"Transfer-Encoding: chunked", *fields, body=body)


def answer(*fields: bytes, status: bytes = b"200 OK", body: bytes = b"") -> bytes:
    """A response as an upstream gives it: exactly these lines, and a Date."""
    lines = b"".join(line + b"\r\n" for line in fields)
    return b"HTTP/1.1 " + status + b"\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n" + lines + b"\r\n" + body


# What must be true


def check(name: str) -> Callable[[Callable[[Seen], str | None]], Check]:
    return lambda test: Check(name, test)


def refused(*statuses: int) -> Check:
    """An error of the gateway's own, then a closed connection; the upstream sees no whole request."""

    def test(seen: Seen) -> str | None:
        if seen.requests:
            return f"reached the upstream: {[r.head.raw for r in seen.requests]}"
        if seen.after or not seen.closed:
            return "the connection stayed open"
        if len(seen.answers) != 1:
            # A reset may destroy the answer before it is read.
            return None if seen.reset and not seen.answers else f"{len(seen.answers)} answers"
        status = seen.answers[0].status
        good = status in statuses if statuses else 400 <= status < 500 or status in (501, 505)
        return None if good else f"status {status}"

    return Check("refused" + "".join(f" {s}" for s in statuses), test)


def forwarded(count: int = 1, *, status: int = 200) -> Check:
    """The upstream sees that many requests, the client as many answers, and goes on on the connection."""

    def test(seen: Seen) -> str | None:
        if len(seen.requests) != count:
            return f"{len(seen.requests)} requests at the upstream"
        if [a.status for a in seen.answers] != [status] * count:
            return f"answers {[a.status for a in seen.answers]}"
        return None if seen.after else "the connection was not kept"

    return Check("forwarded", test)


def reached(count: int = 1) -> Check:
    return Check(
        f"{count} at the upstream",
        lambda seen: (
            None if len(seen.requests) == count else f"{len(seen.requests)} requests at the upstream"
        ),
    )


def status(*statuses: int) -> Check:
    return Check(
        "answered " + " ".join(map(str, statuses)),
        lambda seen: (
            None
            if [a.status for a in seen.answers] == list(statuses)
            else f"answers {[a.status for a in seen.answers]}"
        ),
    )


def target(expected: str) -> Check:
    return Check(
        f"target {expected}",
        lambda seen: (
            None
            if [r.target for r in seen.requests] == [expected]
            else f"targets {[r.target for r in seen.requests]}"
        ),
    )


def body_there(*bodies: bytes) -> Check:
    """What the upstream read as bodies."""
    return Check(
        "body as sent",
        lambda seen: (
            None
            if [r.body for r in seen.requests] == list(bodies)
            else f"bodies {[r.body[:80] for r in seen.requests]}"
        ),
    )


def body_here(*bodies: bytes) -> Check:
    """What the client read as bodies."""
    return Check(
        "body as answered",
        lambda seen: (
            None
            if [a.body for a in seen.answers] == list(bodies)
            else f"bodies {[a.body[:80] for a in seen.answers]}"
        ),
    )


def field_there(name: str, *values: str) -> Check:
    """The field's lines as the upstream got them, in order; none means that it got none."""
    return Check(
        f"upstream gets {name}: {', '.join(values) or 'none'}",
        lambda seen: (
            None
            if seen.requests and seen.requests[0].headers.all(name) == list(values)
            else f"{name} {[r.headers.all(name) for r in seen.requests]}"
        ),
    )


def field_here(name: str, *values: str) -> Check:
    """The field's lines as the client got them, in order; none means that it got none."""
    return Check(
        f"client gets {name}: {', '.join(values) or 'none'}",
        lambda seen: (
            None
            if seen.answers and seen.answers[-1].headers.all(name) == list(values)
            else f"{name} {[a.headers.all(name) for a in seen.answers]}"
        ),
    )


def has_field(name: str, *, there: bool = False) -> Check:
    def test(seen: Seen) -> str | None:
        heads = [r.headers for r in seen.requests] if there else [a.headers for a in seen.answers]
        return None if heads and heads[-1].has(name) else f"no {name}"

    return Check(f"{'upstream' if there else 'client'} gets {name}", test)


def lowered(fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in fields]


def trailers_there(*expected: tuple[str, str]) -> Check:
    return Check(
        "trailers there",
        lambda seen: (
            None
            if seen.requests and lowered(seen.requests[0].trailers) == lowered(expected)
            else f"trailers {[list(r.trailers) for r in seen.requests]}"
        ),
    )


def trailers_here(*expected: tuple[str, str]) -> Check:
    return Check(
        "trailers here",
        lambda seen: (
            None
            if seen.answers and lowered(seen.answers[-1].trailers) == lowered(expected)
            else f"trailers {[list(a.trailers) for a in seen.answers]}"
        ),
    )


def none_of(words: Iterable[str]) -> Check:
    """None of these is anywhere in the fields or trailers that the upstream got."""

    def test(seen: Seen) -> str | None:
        names = {n.lower() for r in seen.requests for n, _ in [*r.headers, *r.trailers]}
        found = names & {w.lower() for w in words}
        return f"reached the upstream: {sorted(found)}" if found else None

    return Check("dropped: " + ", ".join(words), test)


@check("taken as one reading, and told as one")
def taken(seen: Seen) -> str | None:
    """Read leniently, where the RFC lets a recipient; what the upstream got was read strictly."""
    return None if seen.requests and seen.answers else "neither refused nor forwarded"


@check("connection closed")
def closed(seen: Seen) -> str | None:
    return None if seen.closed and not seen.after else "the connection stayed open"


@check("connection kept")
def kept(seen: Seen) -> str | None:
    return None if seen.after else "the connection was not kept"


dropped = Check(
    "upstream connection dropped",
    lambda seen: None if seen.dropped else "the upstream's connection was kept",
    waits=True,
)


@check("nothing completed at the upstream")
def incomplete(seen: Seen) -> str | None:
    return "the upstream saw a whole request" if seen.requests else None


@check("answer cut short")
def cut(seen: Seen) -> str | None:
    if seen.cut is None:
        return f"the client took {[(a.status, a.body[:40]) for a in seen.answers]} for whole"
    return None


def bad_gateway(*statuses: int) -> Check:
    """502 in place of an answer, the upstream's connection dropped, the client's own no worse for it."""

    def test(seen: Seen) -> str | None:
        got = [a.status for a in seen.answers]
        if seen.cut is not None or len(got) != 1 or got[0] not in (statuses or (502,)):
            return f"answers {got}, cut {seen.cut}"
        return dropped(seen)

    return Check("502 and upstream dropped", test, waits=True)


# A fault found when the answer was on its way already can only be told by cutting it.
broken = bad_gateway() | (cut & dropped & closed)
