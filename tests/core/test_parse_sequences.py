"""Sequences of messages that come in pieces of any size: a machine says them, a model knows what is read."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.fuzz.parsing import BACKENDS, Events, Kind, told
from tetrapylon._core.http import parse

TOKENS = st.text("abcXYZ019-_", min_size=1, max_size=8)
FIELDS = st.lists(st.tuples(TOKENS.map(lambda name: "X-" + name), TOKENS), max_size=3)
BODIES = st.lists(st.binary(min_size=1, max_size=20), max_size=4)


@dataclass
class Message:
    """`head` and what it is read as; then pieces, of which some are of the body. `ends`: an end is told."""

    head: bytes
    event: tuple[Any, ...]
    pieces: list[tuple[bytes, bool]] = field(default_factory=list)
    end: tuple[Any, ...] | None = None

    @property
    def said(self) -> bytes:
        return self.head + b"".join(piece for piece, _ in self.pieces)

    def read(self, n: int) -> Events:
        """What is told of it once its first `n` bytes have come."""
        n -= len(self.head)
        if n < 0:
            return []
        events: Events = [self.event]
        body = b""
        for piece, is_body in self.pieces:
            body += piece[: max(0, n)] if is_body else b""
            n -= len(piece)
        if body:
            events.append(("body", body))
        if self.end is not None and n >= 0:
            events.append(self.end)
        return events


def lines(fields: list[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def pairs(fields: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in fields]


def message(
    start: bytes, read_as: tuple[Any, ...], fields: list[tuple[str, str]], framing: str, body: list[bytes],
    trailers: list[tuple[str, str]],
) -> Message:  # fmt: skip
    length = sum(map(len, body))
    more = {
        "none": [],
        "length": [("Content-Length", str(length))],
        "chunked": [("Transfer-Encoding", "chunked")],
    }
    fields = fields + more[framing]
    whole = framing == "none" or (framing == "length" and length == 0)
    made = Message(start + lines(fields) + b"\r\n", (*read_as, pairs(fields), whole))
    if framing == "length":
        made.pieces = [(piece, True) for piece in body]
    elif framing == "chunked":
        for piece in body:
            made.pieces += [(b"%x\r\n" % len(piece), False), (piece, True), (b"\r\n", False)]
        made.pieces.append((b"0\r\n" + lines(trailers) + b"\r\n", False))
    if not whole:
        made.end = ("end", pairs(trailers) if framing == "chunked" else [])
    return made


class Sequences(RuleBasedStateMachine):
    kind: Kind

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self.waiting = b""
        """Put together, not yet said."""
        self.pieces: list[bytes] = []
        self.wrong = False

    def put(self, made: Message) -> None:
        self.messages.append(made)
        self.waiting += made.said

    @precondition(lambda self: not self.wrong)
    @rule(data=st.data(), fields=FIELDS, trailers=FIELDS, body=BODIES)
    def compose(
        self, data: st.DataObject, fields: list[tuple[str, str]], trailers: list[tuple[str, str]],
        body: list[bytes],
    ) -> None:  # fmt: skip
        framing = data.draw(st.sampled_from(["none", "length", "chunked"]))
        if self.kind == "request":
            method = data.draw(st.sampled_from([b"GET", b"POST", b"PUT", b"OPTIONS"]))
            target = b"/" + data.draw(TOKENS).encode()
            fields = [("Host", "a.test"), *fields]
            made = message(method + b" " + target + b" HTTP/1.1\r\n", ("head", method, target, 1),
                           fields, framing, body, trailers)  # fmt: skip
        else:
            status = data.draw(st.sampled_from([100, 103, 200, 204, 304, 404]))
            if status in (100, 103, 204, 304):
                framing, body = "none", []
            elif framing == "none":
                framing = "length"  # else it would end with the connection
            made = message(b"HTTP/1.1 %d Said\r\n" % status, ("head", status, b"Said", 1),
                           fields, framing, body, trailers)  # fmt: skip
        self.put(made)

    @precondition(lambda self: not self.wrong)
    @rule(line=st.sampled_from([b"\x00\r\n", b"A : b\r\n", b" folded\r\n", b"A: b\rc\r\n", b"no colon\r\n"]))
    def compose_what_is_wrong(self, line: bytes) -> None:
        start = (
            b"GET / HTTP/1.1\r\nHost: a.test\r\n"
            if self.kind == "request"
            else b"HTTP/1.1 200 Said\r\nB: c\r\n"
        )
        self.waiting += start + line + b"Content-Length: 0\r\n\r\n"
        self.wrong = True

    @precondition(lambda self: self.waiting)
    @rule(n=st.integers(1, 40))
    def say(self, n: int) -> None:
        self.pieces.append(self.waiting[:n])
        self.waiting = self.waiting[n:]

    @precondition(lambda self: self.waiting)
    @rule()
    def say_all_of_it(self) -> None:
        self.say(len(self.waiting))

    @rule()
    def hang_up(self) -> None:
        """An end within a message is told from one between two."""
        left = sum(map(len, self.pieces))
        if self.wrong:
            return
        for one in self.messages:
            if left > 0:
                left -= len(one.said)
        end = "truncated" if left else "more"
        assert parse.feed(self.kind, [*self.pieces, None])[-1] == (end,)

    def expected(self) -> Events:
        left = sum(map(len, self.pieces))
        events: Events = []
        for one in self.messages:
            if left <= 0:
                break
            events += one.read(left)
            left -= len(one.said)
        return events

    @invariant()
    def what_has_come_is_read(self) -> None:
        said = b"".join(self.pieces)
        for name in BACKENDS:
            events = told(name, self.kind, self.pieces)
            refused = events[-1:] == [("malformed",)]
            assert events[: len(events) - refused] == self.expected()
            assert self.wrong or not refused
            if self.wrong and not self.waiting:
                assert refused
            assert told(name, self.kind, [said[i : i + 1] for i in range(len(said))]) == events

    def teardown(self) -> None:
        """Whatever was said, in two pieces at every byte."""
        said = b"".join(self.pieces)
        whole = told(BACKENDS[0], self.kind, [said])
        for at in range(1, len(said)):
            assert told(BACKENDS[0], self.kind, [said[:at], said[at:]]) == whole, at


class Requests(Sequences):
    kind = "request"


class Responses(Sequences):
    kind = "response"


@pytest.mark.parametrize("machine", [Requests, Responses])
def test_sequences(machine: type[Sequences]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=25))
