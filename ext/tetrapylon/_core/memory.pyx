"""Exchanges without connections: requests, destinations and policies in memory that follow a script."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from tetrapylon._core.body cimport set_request_body, set_response_body, unframe
from tetrapylon._core.buffer cimport DROPPED, HOP, Head, head_add, head_free, head_reset
from tetrapylon._core.exchange cimport (
    CLIENT_GONE, NO_FAULT, RESPONSE_CUT, UPSTREAM_CLOSED, Destination, Exchange, Filter, Peer, Sink, Ticket,
    acquire, install, release, wait,
)
from tetrapylon._core.http.message cimport HEAD, Parser
from tetrapylon._core.http.parse cimport request_parser
from tetrapylon._core.http.respond cimport fault_name
from tetrapylon._core.policy cimport ANSWER, COLLECT, CONTINUE, WAIT, Policy, Verdict
from tetrapylon._core.reactor cimport Reactor
from tetrapylon._core.stages cimport Pipeline


cdef list lines(const Head* head):
    cdef uint32_t i
    return [
        (head.data[head.headers[i].name:head.headers[i].name + head.headers[i].name_length],
         head.data[head.headers[i].value:head.headers[i].value + head.headers[i].value_length])
        for i in range(head.count) if not head.headers[i].mark & (DROPPED | HOP)
    ]


cdef void fill(Head* head, pairs) except *:
    cdef bytes name, value
    for name, value in pairs:
        if head_add(head, name, len(name), value, len(value), 0) < 0:
            raise MemoryError


cdef class MemoryExchange(Sink):
    def __init__(self, Pipeline pipeline not None, bytes method not None, bytes target not None,
                 headers=(), *,
                 body=None, trailers=(), bint complete=True):
        self.pipeline = pipeline
        self.peer = Peer.__new__(Peer)
        memcpy(self.peer.address, b"memory", 6)
        self.peer.address_n = 6
        self.pieces = list(body or ())
        self.complete = complete
        self.interims = []
        self.headers = []
        self.pieces_out = []
        self.trailers = []
        head_reset(&self.request_trailers)
        fill(&self.request_trailers, trailers)
        self.begin(method, target, [(b"Host", b"memory"), *headers])

    def __dealloc__(self):
        head_free(&self.request_trailers)

    cdef void begin(self, bytes method, bytes target, list headers) except *:
        cdef Exchange x = acquire(self.pipeline, self, self, self.peer)
        cdef Parser parser = request_parser(self.pipeline.snapshot.limits)
        cdef bytes text = b"%s %s HTTP/1.1\r\n%s\r\n" % (
            method, target, b"".join([b"%s: %s\r\n" % pair for pair in headers]))
        cdef bint whole
        parser.head = &x.request
        whole = parser.next(text, len(text)) == HEAD and parser.consumed == <size_t>len(text)
        parser.head = NULL
        if not whole:
            release(x)
            raise ValueError(f"{text!r} is not the head of a request")
        self.exchange = x
        self.slot = <size_t><void*>x
        self.generation = x.generation
        self.pipeline.reactor.enter()
        x.began = self.pipeline.reactor.now
        x.bytes_in = len(text)
        x.request_complete = parser.ended
        self.pipeline.start(x)
        self.push()
        self.pipeline.reactor.leave()

    cdef void push(self) noexcept:
        """Hand on what there is of the body, until told to pause. Nobody takes it: it is dropped."""
        cdef Exchange x = self.exchange
        cdef bytes piece
        if self.pushing:
            return
        self.pushing = True
        while self.exchange is x and x is not None and not self.paused and not x.request_complete:
            if self.said < len(self.pieces):
                piece = <bytes>self.pieces[self.said]
                self.said += 1
                x.body_in += len(piece)
                if x.destination is not None:
                    x.destination.body(x, piece, len(piece))
            elif self.complete:
                x.request_complete = True
                if x.destination is not None:
                    x.trailers = &self.request_trailers if self.request_trailers.count else NULL
                    x.destination.end(x)
            else:
                break
        self.pushing = False

    def say(self, bytes piece not None):
        """Another piece of the body."""
        self.pieces.append(piece)
        self.pipeline.reactor.enter()
        self.push()
        self.pipeline.reactor.leave()

    def complete_body(self):
        """The body's last piece was said."""
        self.complete = True
        self.pipeline.reactor.enter()
        self.push()
        self.pipeline.reactor.leave()

    def cancel(self):
        """As when a client goes away."""
        if self.exchange is not None:
            self.pipeline.reactor.enter()
            self.pipeline.cancel(self.exchange, CLIENT_GONE)
            self.pipeline.reactor.leave()

    def hold(self):
        """Take no more of the response for now."""
        if self.exchange is not None and self.exchange.destination is not None:
            self.exchange.destination.pause(self.exchange)

    def go_on(self):
        """Take the response again."""
        if self.exchange is not None and self.exchange.destination is not None:
            self.pipeline.reactor.enter()
            self.exchange.destination.resume(self.exchange)
            self.pipeline.reactor.leave()

    @property
    def received(self):
        return b"".join(self.pieces_out)

    @property
    def over(self):
        return self.exchange is None

    # Source of the request

    cdef void pause(self, Exchange x) noexcept:
        self.pauses += 1
        self.paused = True

    cdef void resume(self, Exchange x) noexcept:
        self.resumes += 1
        self.paused = False
        self.push()

    cdef void finished(self, Exchange x) noexcept:
        self.finishes += 1
        if x.fault != NO_FAULT:
            self.fault = (<bytes>fault_name(x.fault)).decode()
        self.exchange = None
        release(x)

    # Sink of the response

    cdef void head(self, Exchange x) noexcept:
        if x.response.status < 200:
            self.interims.append(x.response.status)
            return
        self.heads += 1
        self.status = x.response.status
        self.headers = lines(&x.response)

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        self.pieces_out.append(data[:n])
        x.bytes_out += n

    cdef void end(self, Exchange x) noexcept:
        self.ends += 1
        if x.trailers is not NULL:
            self.trailers = lines(x.trailers)

    cdef void abort(self, Exchange x) noexcept:
        self.aborts += 1


cdef class MemoryDestination(Destination):
    def __init__(self, *script, bint takes=True):
        self.script = list(script)
        self.takes = takes
        self.port = MemoryPort()

    @property
    def request(self):
        return self.port

    @property
    def waiting(self):
        return self.exchange is not None

    cdef void start(self, Exchange x) noexcept:
        self.starts += 1
        self.exchange = x
        self.at = 0
        if self.takes:
            x.destination = self.port
        if x.body is not None:
            self.port.body(x, x.body, len(x.body))
            self.port.end(x)
        self.run()

    cdef void cancel(self, Exchange x) noexcept:
        self.cancels += 1
        self.exchange = None

    cdef void run(self) noexcept:
        cdef Exchange x = self.exchange
        cdef tuple step
        if self.running:
            return
        self.running = True
        while x is not None and self.exchange is x and self.at < len(self.script):
            step = <tuple>self.script[self.at]
            self.at += 1
            if step[0] == "wait":
                break
            self.step(x, step)
        self.running = False

    cdef void step(self, Exchange x, tuple step) except *:
        cdef str what = step[0]
        cdef bytes piece
        cdef Head trailers
        if what in ("head", "interim"):
            head_reset(&x.response)
            x.response.status = step[1]
            x.response.has_body = step[1] not in (204, 304)
            fill(&x.response, step[2] if len(step) > 2 else ())
            if what == "head":
                x.stages.head(x)
            else:
                x.stages.interim(x)
        elif what == "body":
            piece = step[1]
            x.stages.body(x, piece, len(piece))
        elif what == "end":
            self.exchange = None
            x.destination = None
            x.trailers = NULL
            trailers.data = NULL
            trailers.headers = NULL
            trailers.capacity = trailers.room = 0
            head_reset(&trailers)
            try:
                if len(step) > 1:
                    fill(&trailers, step[1])
                    x.trailers = &trailers
                x.stages.end(x)
            finally:
                head_free(&trailers)
        elif what == "fail":
            x.stages.fail(x, RESPONSE_CUT if x.response_started else UPSTREAM_CLOSED)
        elif what == "pause":
            x.source.pause(x)
        elif what == "resume":
            x.source.resume(x)

    def advance(self, *more):
        """Go on behind a "wait"; `more` steps are added to the script."""
        self.script.extend(more)
        cdef Exchange x = self.exchange
        cdef Reactor reactor
        if x is not None:
            reactor = x.stages.reactor
            reactor.enter()
            self.run()
            reactor.leave()


cdef class MemoryPort(Sink):
    def __init__(self):
        self.pieces = []
        self.trailers = []

    @property
    def received(self):
        return b"".join(self.pieces)

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        self.pieces.append(data[:n])

    cdef void end(self, Exchange x) noexcept:
        self.ended = True
        if x.trailers is not NULL:
            self.trailers = lines(x.trailers)
            x.trailers = NULL

    cdef void pause(self, Exchange x) noexcept:
        self.pauses += 1

    cdef void resume(self, Exchange x) noexcept:
        self.resumes += 1


cdef class MemoryPolicy(Policy):
    def __init__(self, *verdicts, Destination answer=None, whole=None, on_response=(), Filter filter=None,
                 size_t limit=1048576):
        self.verdicts = list(verdicts)
        self.on_response = list(on_response)
        self.answer = answer
        self.whole = whole
        self.filter = filter
        self.tickets = []
        self.bodies = []
        self.request_limit = self.response_limit = limit

    cdef Verdict say(self, Exchange x, list verdicts) noexcept:
        cdef str verdict = verdicts.pop(0) if verdicts else "continue"
        if verdict == "answer":
            x.answer = self.answer
            return ANSWER
        if verdict == "wait":
            self.tickets.append(wait(x))
            return WAIT
        return COLLECT if verdict == "collect" else CONTINUE

    cdef Verdict request(self, Exchange x) noexcept:
        self.requests += 1
        return self.say(x, self.verdicts)

    cdef Verdict whole_request(self, Exchange x) noexcept:
        self.bodies.append(x.body)
        if self.whole is not None:
            set_request_body(x, self.whole)
        return self.say(x, self.verdicts)

    cdef Verdict response(self, Exchange x) noexcept:
        self.responses += 1
        if self.filter is not None:
            unframe(x)
            install(x, self.filter)
        return self.say(x, self.on_response)

    cdef Verdict whole_response(self, Exchange x, bytes body) noexcept:
        self.bodies.append(body)
        if self.whole is not None:
            set_response_body(x, self.whole)
        return self.say(x, self.on_response)

    cdef void end(self, Exchange x) noexcept:
        self.ends += 1


cdef class MemoryFilter(Filter):
    def __init__(self, bytes before=b"", bytes after=b""):
        self.before = before
        self.after = after

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        self.emit_bytes(x, self.before)
        self.emit(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        self.ends += 1
        self.emit_bytes(x, self.after)

    cdef void abort(self, Exchange x) noexcept:
        self.aborts += 1


def resume(Pipeline pipeline not None, Ticket ticket not None, Destination answer=None):
    """Use a ticket: the exchange goes on, or is answered. A stale one is counted and does nothing."""
    if answer is not None and ticket.exchange.ticket == ticket.number:
        ticket.exchange.answer = answer
    pipeline.wake(ticket)
