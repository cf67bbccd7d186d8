from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from tetrapylon._core.buffer cimport DROPPED, HOP, Head
from tetrapylon._core.exchange cimport *
from tetrapylon._core.http.message cimport HEAD, Limits, Parser
from tetrapylon._core.http.parse cimport request_parser
from tetrapylon._core.http.respond cimport fault_name
from tetrapylon._core.http.wire cimport Via
from tetrapylon._core.reactor cimport Reactor, arm, disarm

cdef Limits LIMITS = Limits(head=1048576, headers=1000, target=65536)


cdef class CallStages(Stages):
    def __init__(self, Reactor reactor not None, Via via not None):
        self.reactor = reactor
        self.pseudonym = via.pseudonym

    cdef void start(self, Exchange x) noexcept:
        x.plan.destination.start(x)

    cdef void head(self, Exchange x) noexcept:
        x.response_started = x.told = True
        x.status = x.response.status
        x.sink.head(x)

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        x.sink.body(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        x.sink.end(x)
        self.finish(x)

    cdef void fail(self, Exchange x, Fault fault) noexcept:
        if x.over:
            return
        x.fault = fault
        x.plan.destination.cancel(x)
        x.destination = None
        x.sink.abort(x)
        self.finish(x)

    cdef void cancel(self, Exchange x, Fault fault) noexcept:
        self.fail(x, fault)

    cdef void upgrade(self, Exchange x, Stream upstream, const char* early, size_t n) noexcept:
        upstream.abort(False)           # it was not asked for
        self.fail(x, RESPONSE_MALFORMED)

    cdef void finish(self, Exchange x) noexcept:
        if x.over:
            return
        x.over = True
        disarm(x)
        x.source.finished(x)


cdef class Call(Sink):
    def __cinit__(self, *args, **kwargs):
        self.payload = b""

    def __init__(self, Stages stages not None, Plan plan not None, bytes method not None,
                 bytes target not None, headers=(), bytes body=None, *, size_t limit=1048576, on_done=None):
        cdef list lines = [b"%b %b HTTP/1.1" % (method, target)]
        lines += [b"%b: %b" % pair for pair in headers]
        if body is not None:
            lines.append(b"Content-Length: %d" % len(body))
        self.stages = stages
        self.plan = plan
        self.text = b"\r\n".join(lines) + b"\r\n\r\n"
        self.content = body
        self.limit = limit
        self.on_done = on_done
        self.headers = []

    def start(self):
        self.begin()

    cdef void on_behalf(self, Exchange x) noexcept:
        self.peer = x.peer

    cdef int begin(self) except -1:
        """Raises ValueError for what is no request."""
        cdef Exchange x
        if self.exchange is not None:
            raise RuntimeError("this call has begun")
        if self.peer is None:
            self.peer = Peer.__new__(Peer)
            memcpy(self.peer.address, b"127.0.0.1", 9)
            self.peer.address_n = 9
        x = acquire(self.stages, self, self, self.peer)
        try:
            self.write(x)
        except BaseException:
            release(x)
            raise
        self.exchange = x
        x.plan = self.plan
        x.asked = x.request.target
        x.asked_length = x.path_length = x.request.target_length
        x.request_complete = True
        self.stages.reactor.enter()
        x.began = self.stages.reactor.now
        if self.plan.total is not NULL:
            arm(self.stages.reactor, x, self.plan.total)
        self.stages.start(x)
        self.stages.reactor.leave()
        return 0

    cdef int write(self, Exchange x) except -1:
        cdef Parser parser = request_parser(LIMITS)
        cdef bint whole
        parser.head = &x.request
        whole = parser.next(self.text, len(self.text)) == HEAD and parser.consumed == <size_t>len(self.text)
        parser.head = NULL
        if not whole:
            raise ValueError(f"{self.text!r} is not the head of a request")
        x.body = self.content
        return 0

    def cancel(self):
        """Give it up: `completed` hears of it now, unless it is over already."""
        if self.exchange is not None:
            self.stages.reactor.enter()
            self.stages.cancel(self.exchange, CLIENT_GONE)
            self.stages.reactor.leave()

    async def fetch(self):
        """Start, and wait for the answer; a caller that is cancelled cancels it."""
        import asyncio

        done = asyncio.get_running_loop().create_future()

        def note(_):
            if not done.done():
                done.set_result(None)

        self.on_done = note
        self.begin()
        try:
            await done
        finally:
            self.cancel()
        return self

    cdef void completed(self) noexcept:
        if self.on_done is not None:
            self.on_done(self)

    # Sink of the response

    cdef void head(self, Exchange x) noexcept:
        cdef Head* head = &x.response
        cdef uint32_t i
        if head.status < 200:
            return
        self.headers = [
            (head.data[head.headers[i].name:head.headers[i].name + head.headers[i].name_length],
             head.data[head.headers[i].value:head.headers[i].value + head.headers[i].value_length])
            for i in range(head.count) if not head.headers[i].mark & (DROPPED | HOP)
        ]

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        self.taken += n
        if self.taken > self.limit:
            x.stages.fail(x, RESPONSE_LARGE)
        elif self.taken == n:
            self.payload = data[:n]
        else:
            if self.pieces is None:
                self.pieces = [self.payload]
            self.pieces.append(data[:n])

    cdef void end(self, Exchange x) noexcept:
        self.status = x.status
        if self.pieces is not None:
            self.payload = b"".join(self.pieces)

    cdef void abort(self, Exchange x) noexcept:
        self.payload = b""
        self.fault = (<bytes>fault_name(x.fault)).decode()

    # Source of the request: its body is whole from the beginning

    cdef void finished(self, Exchange x) noexcept:
        cdef Call kept = self           # the exchange may hold the last reference
        self.exchange = None
        self.pieces = None
        if self.stages.reactor.corked is not None:
            self.stages.reactor.corked.flush()      # what was gathered may lie in the exchange
        self.stages.reactor.keep(self)              # the exchange may be all that holds it
        release(x)
        kept.completed()
