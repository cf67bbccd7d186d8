"""Conversations: what a client asks, how it behaves meanwhile, and whether what came back is right."""

import asyncio
import contextlib
import gzip
import json
import random
import ssl
import zlib
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.fuzz.judge import Cut, own, read_answer
from tests.fuzz.mixed import code, upstream
from tests.fuzz.mixed.channel import Channel, connect
from tests.fuzz.mixed.settings import Route
from tests.fuzz.mixed.words import SECRET, cached_mark, mark, payload, strangers
from tests.fuzz.reference import Said, options
from tests.harness.wire import Response, Truncated, WireError

MANNERS = (
    "polite", "polite", "keeps", "pieces", "stalls", "resets", "abandons", "stops", "stalls and resets",
    "tunnel",
)  # fmt: skip
PATIENT = {"polite", "keeps", "pieces", "stalls"}
"""These hear all of their answers."""
KEYS = 12
PATIENCE = 20.0
SOON = 2.0
# What a request that is right may be told by the gateway, or by code that was told to fail.
FAILURES = {502, 503, 504, 429}
FAILURES_OF_CODE = {299, 418, 500}


@dataclass
class Asked:
    """A request, and all that its answer is held to."""

    route: Route
    id: str
    name: str
    """Its mark, or that of the answer that all requests of its key may get."""
    method: str
    do: str
    size: int
    said: bytes


def ask(
    rng: random.Random,
    route: Route,
    conversation: int,
    index: int,
    last: bool,
    manner: str,
    secured: bool,
) -> Asked:
    name = id = mark(conversation, index)
    do = rng.choice(upstream.DEEDS if rng.random() < 0.5 else upstream.DEEDS[:7])
    size = rng.choice((20, 100, 100, 1000, 3000, 20_000, 150_000))
    method = rng.choice(("GET", "GET", "GET", "HEAD", "POST", "PUT"))
    query = {"id": id}
    if route.cached and method in ("GET", "HEAD"):
        key = rng.randrange(KEYS)
        name = cached_mark(key)
        by_key = random.Random(key)
        do, size = by_key.choice(upstream.DEEDS[:7]), by_key.choice((100, 3000, 60_000))
        query = {"k": name}
    query |= {"do": do, "n": str(size)}
    fields = [("Host", "mixed.test"), ("X-Id", id)]
    if rng.random() < 0.5:
        deeds = [f"{hook}:{rng.choice(code.DEEDS)}" for hook in rng.sample(code.HOOKS, rng.randint(1, 3))]
        fields.append(("X-Code", ",".join(deeds)))
    if rng.random() < 0.4:
        fields.append(("Accept-Encoding", "gzip"))
    body = b""
    if method in ("POST", "PUT"):
        length = rng.choice((20, 100, 2000, 30_000))
        query["b"] = str(length)
        body = payload(id, length)
        fields.append(("Content-Type", "application/json"))
        if rng.random() < 0.3:
            body = gzip.compress(body, 1)
            fields.append(("Content-Encoding", "gzip"))
        if rng.random() < 0.1:
            fields.append(("Expect", "100-continue"))
        if rng.random() < 0.4:
            fields.append(("Transfer-Encoding", "chunked"))
            cuts = sorted(rng.sample(range(1, len(body)), min(2, len(body) - 1)))
            parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        else:
            fields.append(("Content-Length", str(len(body))))
    if last and (manner in ("keeps", "stalls") or secured):
        fields.append(("Connection", "close"))
    if manner == "tunnel" and last:
        method, body = "GET", b""
        fields = [("Host", "mixed.test"), ("X-Id", id), ("Connection", "Upgrade"), ("Upgrade", "echo")]
        query = {"id": id, "do": "length"}
        do, name, size = "length", id, 100
    target = f"{route.path}/x?{urlencode(query)}"
    head = (
        f"{method} {target} HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in fields) + "\r\n"
    )
    return Asked(route, id, name, method, do, size, head.encode() + body)


class Conversation:
    """One connection's worth, made of the run's seed and a number."""

    def __init__(self, seed: int, number: int, routes: list[Route]) -> None:
        self.rng = random.Random(f"{seed}/{number}")
        self.number = number
        self.manner = self.rng.choice(MANNERS)
        self.secured = self.rng.random() < 0.3
        count = self.rng.randint(1, 5)
        # Most stay on one route, so that each sees much of itself.
        chosen = (
            [self.rng.choice(routes)] * count
            if self.rng.random() < 0.6
            else self.rng.choices(routes, k=count)
        )
        self.asked = [
            ask(self.rng, route, number, index, index == count - 1, self.manner, self.secured)
            for index, route in enumerate(chosen)
        ]
        self.heard = bytearray()
        self.ended = False
        self.gone = False

    @property
    def stream(self) -> bytes:
        return b"".join(one.said for one in self.asked)

    async def run(self, loop: asyncio.AbstractEventLoop, addresses: list[str], trust: ssl.SSLContext) -> None:
        """`addresses`: the plain one, and that with TLS."""
        channel = await connect(
            loop,
            addresses[self.secured],
            trust if self.secured else None,
            small="stalls" in self.manner,
        )
        try:
            with contextlib.suppress(ConnectionError):
                await self.behave(loop, channel)
        finally:
            channel.close()

    async def behave(self, loop: asyncio.AbstractEventLoop, channel: Channel) -> None:
        if self.manner in ("abandons", "stops"):
            await self.leave(channel)
            return
        listening = loop.create_task(self.listen(channel))
        try:
            await self.say(channel)
            await listening
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await listening

    async def say(self, channel: Channel) -> None:
        stream, rng = self.stream, self.rng
        try:
            if self.manner == "pieces":
                cuts = sorted(rng.sample(range(1, len(stream)), min(rng.randint(1, 12), len(stream) - 1)))
                for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                    await channel.send(stream[start:end])
                    await asyncio.sleep(rng.choice((0, 0, 0.001)))
            else:
                await channel.send(stream)
            if self.manner == "tunnel" and self.asked[-1].route.proxied:
                for _ in range(rng.randint(0, 3)):
                    await channel.send(self.asked[-1].id.encode() + b"\n")
                    await asyncio.sleep(rng.choice((0, 0.002)))
            if self.manner in ("polite", "pieces", "tunnel"):
                channel.end()
        except (ConnectionError, OSError):
            self.gone = True  # refused with bytes of ours under way; the answer may be there to read

    async def listen(self, channel: Channel) -> None:
        rng = self.rng
        limit = rng.choice((0, 1, 50, 200, 1000, 20_000)) if "resets" in self.manner else None
        if "stalls" in self.manner:
            await asyncio.sleep(rng.random() * 0.05)
        while limit is None or len(self.heard) < limit:
            try:
                if limit is None:
                    data = await channel.recv(65536)
                else:
                    data = await asyncio.wait_for(channel.recv(max(1, limit)), SOON)
            except TimeoutError:
                break  # there may be no more, of what is shorter than the limit
            except ConnectionError:
                self.gone = True
                return
            if not data:
                self.ended = True
                return
            self.heard += data
        channel.reset()

    async def leave(self, channel: Channel) -> None:
        """Before any answer has come, most of the time."""
        rng, stream = self.rng, self.stream
        if self.manner == "stops":
            stream = stream[: rng.randrange(1, len(stream))]
        await asyncio.wait_for(channel.send(stream[:60_000]), 5)
        await asyncio.sleep(rng.choice((0, 0, 0.001, 0.005, 0.02)))
        how = rng.choice(("reset", "close", "half-close"))
        if how == "reset":
            channel.reset()
        elif how == "half-close":
            channel.end()
            await asyncio.sleep(rng.choice((0, 0.01)))

    # What came

    def wrong(self) -> tuple[str, str] | None:
        reader = Said(bytes(self.heard))
        for one in self.asked:
            if not reader.left:
                if self.manner in PATIENT and self.ended and not self.gone:
                    return "unanswered", f"{one.id} {one.said[:300]!r} behind {bytes(self.heard)[-900:]!r}"
                return None
            try:
                answer = read_answer(reader, one.method)
            except Cut as cut:
                return self.misfit(one, cut.answer, cut=True)
            except Truncated:
                # A head that has begun is cut where the connection is reset, and never else.
                whole = self.manner in PATIENT and self.ended and not self.gone
                return ("garbage", f"{one.id}: half a head {reader.buffered()[:300]!r}") if whole else None
            except WireError as error:
                return "garbage", f"{one.id}: {error}"
            wrong = self.misfit(one, answer, cut=False)
            if wrong is not None:
                return wrong
            if answer.status == 101:
                found = strangers(reader.buffered(), one.id)
                return ("crossed", f"the tunnel of {one.id} said {found}") if found else None
            if "close" in options(answer.headers):
                break
        if reader.left and self.manner != "tunnel":  # refused, it is what was meant for the tunnel
            return "surplus", f"{self.asked[-1].id}: {reader.buffered()[:300]!r}"
        return None

    def misfit(self, one: Asked, answer: Response, *, cut: bool) -> tuple[str, str] | None:
        body = answer.body
        if answer.headers.get("Content-Encoding") == "gzip":
            try:
                body = zlib.decompressobj(31).decompress(body)
            except zlib.error as error:
                return "garbage", f"{one.id}: {error} in {answer}"
        names = {one.name.encode(), one.id.encode()}
        found = (strangers(answer.head.raw, one.name) | strangers(body, one.name)) - names
        if found:
            return "crossed", f"{one.id} was told of {found}: {answer.head.raw[:600]!r}"
        status = answer.status
        if (
            own(answer)
            or status in FAILURES_OF_CODE
            or answer.headers.get("Content-Type") == "application/problem+json"
        ):
            right = FAILURES | {413}
            if one.route.code:
                right = right | FAILURES_OF_CODE
            if b"Content-Encoding: gzip" in one.said:
                right = right | {400, 422}  # where nobody decompresses it, it is no JSON
            if one.do in ("s500", "early") or not one.route.proxied:
                right = right | {500}
            if status not in right:
                return (
                    "answer",
                    f"{one.id} was told {status}: {answer.head.raw!r} {body[:300]!r}; {one.said[:300]!r}",
                )
            return None
        if cut or one.method == "HEAD" or status != 200 or "aggregate" in one.route.destination:
            return None
        size = 100 if one.do == "early" and one.route.proxied else one.size
        return self.other_body(one, body, payload(one.name, size))

    def other_body(self, one: Asked, body: bytes, meant: bytes) -> tuple[str, str] | None:
        if body == meant or "takes" in str(one.route.destination):
            return None
        try:
            got = json.loads(body)
        except ValueError:
            return "crossed", f"{one.id} got a body that is none: {body[:300]!r}; {one.said[:300]!r}"
        whole = json.loads(meant)
        if {**whole, SECRET: None} != {**got, SECRET: None}:
            return "crossed", f"{one.id} got another body: {len(body)} {body[:300]!r}; {one.said[:300]!r}"
        return None
