"""`python -m tests.faults.origin ADDRESS BACKLOG`: a target as a process, which behaves as it is told.

One word and its values a line on standard input, `ok` on standard output once it is so:

    well                answers at once
    slow SECONDS        answers after so long
    places N SECONDS    works on so many requests at once, on each for so long; others wait in line
    status CODE         answers with this status
    reset               resets the connection when a request has come
    half_close          sends FIN in place of an answer, and keeps the connection
    health CODE         what checks are answered with, whatever the rest; 0: as the requests are
    deaf                accepts no more connections and drops those there are: its accept queue can be filled
    count               `ok N`: requests so far, checks left out
"""

import asyncio
import os
import signal
import sys
from collections import deque
from typing import cast

import uvloop

from tests.harness import net

CHECK = b"GET /healthz "
BODY = b"well\n"


def answer(status: int) -> bytes:
    return b"HTTP/1.1 %d Told\r\nContent-Length: %d\r\n\r\n%b" % (status, len(BODY), BODY)


ANSWERS = {status: answer(status) for status in (200, 500, 503)}


class Origin:
    def __init__(self, address: str, backlog: int) -> None:
        self.loop = uvloop.new_event_loop()
        self.sock = net.listen(address, backlog=backlog)
        self.sock.setblocking(False)
        self.connections: set[Talk] = set()
        self.behaviour = "well"
        self.seconds = 0.0
        self.status = 200
        self.health = 0
        self.requests = 0
        self.places = 0
        self.working = 0
        self.line: deque[Talk] = deque()

    def run(self) -> None:
        self.accept(True)
        self.loop.add_reader(sys.stdin.fileno(), self.hear)
        self.loop.add_signal_handler(signal.SIGTERM, self.loop.stop)
        print(net.join(self.sock), flush=True)
        self.loop.run_forever()

    def accept(self, on: bool) -> None:
        if on:
            self.loop.add_reader(self.sock.fileno(), self.accepted)
        else:
            self.loop.remove_reader(self.sock.fileno())

    def accepted(self) -> None:
        try:
            sock, _ = self.sock.accept()
        except BlockingIOError:
            return
        sock.setblocking(False)
        self.loop.create_task(self.loop.connect_accepted_socket(lambda: Talk(self), sock))

    def hear(self) -> None:
        line = os.read(sys.stdin.fileno(), 4096)
        if not line:
            self.loop.stop()
            return
        for order in line.decode().splitlines():
            print("ok", *self.obey(*order.split()), flush=True)

    def obey(self, word: str, value: str = "0", seconds: str = "0") -> tuple[int, ...]:
        if word == "count":
            return (self.requests,)
        if word == "health":
            self.health = int(value)
            return ()
        if word == "places":
            self.places = int(value)
            self.seconds = float(seconds)
            self.behaviour = word
            return ()
        self.accept(word != "deaf")
        self.behaviour = word
        self.seconds = float(value) if word == "slow" else 0.0
        self.status = int(value) if word == "status" else 200
        if word == "deaf":
            for each in list(self.connections):
                each.transport.abort()
        return ()

    def work(self) -> None:
        """On those who wait, while there are places."""
        while self.line and self.working < self.places:
            self.working += 1
            self.loop.call_later(self.seconds, self.worked, self.line.popleft())

    def worked(self, talk: "Talk") -> None:
        self.working -= 1
        talk.tell(ANSWERS[200])
        self.work()


class Talk(asyncio.Protocol):
    """One connection. Requests have no body."""

    transport: asyncio.Transport

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of no such class
        self.origin.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.origin.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head, self.received = self.received[:end], self.received[end + 4 :]
            self.asked(head)

    def asked(self, head: bytes) -> None:
        origin = self.origin
        if head.startswith(CHECK) and origin.health:
            self.transport.write(answer(origin.health))
            return
        if not head.startswith(CHECK):
            origin.requests += 1
        match origin.behaviour:
            case "reset":
                net.reset_transport(self.transport)
            case "half_close":
                self.transport.write_eof()
            case "slow":
                origin.loop.call_later(origin.seconds, self.tell, ANSWERS[200])
            case "places":
                origin.line.append(self)
                origin.work()
            case "status":
                self.transport.write(ANSWERS.get(origin.status) or answer(origin.status))
            case _:
                self.transport.write(ANSWERS[200])

    def tell(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


if __name__ == "__main__":
    Origin(sys.argv[1], int(sys.argv[2])).run()
