from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport (
    CONTENT_LENGTH, DROPPED, EXPECT, TRANSFER_ENCODING, Buffer, Head, head_length, head_reset,
)
from tetrapylon._core.exchange cimport (
    BODY_TOO_LARGE, INTERNAL_FAULT, RESPONSE_LARGE, Exchange, Filter, Held, Sink, drop_filters, install,
    response_of, still_wanted,
)


cdef void say_continue(Exchange x) noexcept:
    """Who waits for leave to send the body (RFC 9110 section 10.1.1) is given it here."""
    cdef uint32_t i
    for i in range(x.request.count):
        if x.request.headers[i].known == EXPECT:
            x.request.headers[i].mark |= DROPPED
    x.request.expect_continue = False
    head_reset(&x.response)
    x.response.status = 100
    x.stages.interim(x)


cdef class Collector(Sink):
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef Buffer pieces = <Buffer>self.pieces
        if pieces.end - pieces.start + n > self.limit:
            x.stages.fail(x, BODY_TOO_LARGE)
            return
        try:
            pieces.append(data, n)
        except MemoryError:
            x.stages.fail(x, INTERNAL_FAULT)

    cdef void end(self, Exchange x) noexcept:
        cdef Buffer pieces = <Buffer>self.pieces
        x.destination = None
        x.trailers = NULL
        x.body = pieces.data[pieces.start:pieces.end] if pieces.end > pieces.start else b""
        pieces.clear()
        x.stages.collected(x)


cdef void collect(Exchange x, size_t limit) noexcept:
    cdef Collector collector
    if x.request.content_length > <int64_t>limit:
        x.stages.fail(x, BODY_TOO_LARGE)
        return
    collector = Collector.__new__(Collector)
    collector.limit = limit
    collector.pieces = Buffer()
    x.destination = collector
    if x.request.expect_continue:
        say_continue(x)
    x.source.resume(x)


cdef class Gatherer(Filter):
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        keep(x, x.held, data, n)


cdef void keep(Exchange x, Held held, const char* data, size_t n) noexcept:
    try:
        held.keep(data, n)
    except MemoryError:
        x.stages.fail(x, INTERNAL_FAULT)
        return
    if held.collecting and held.body.end - held.body.start > held.limit:
        x.stages.fail(x, RESPONSE_LARGE)


cdef void gather(Exchange x) noexcept:
    cdef Held held = x.held
    cdef Buffer pending = held.body
    cdef uint64_t response = response_of(x)
    cdef bint ended = held.ended
    held.body = None
    held.ended = False
    held.filtered = True
    install(x, Gatherer.__new__(Gatherer))
    if pending is not None and pending.end > pending.start:
        x.stages.reactor.keep(pending)
        x.stages.body(x, pending.data + pending.start, pending.end - pending.start)
        if not still_wanted(x, response):
            return
    if ended:
        x.trailers = &held.trailers if held.has_trailers else NULL
        x.stages.end(x)


cdef int set_length(Head* head, size_t n) except -1:
    """Content-Length, in place of whatever told where the body ends."""
    cdef uint32_t i
    for i in range(head.count):
        if head.headers[i].known in (<uint8_t>CONTENT_LENGTH, <uint8_t>TRANSFER_ENCODING):
            head.headers[i].mark |= DROPPED
    head.chunked = False
    head.has_body = n > 0
    if head_length(head, n) < 0:
        raise MemoryError
    return 0


cdef int set_request_body(Exchange x, bytes body) except -1:
    x.body = body
    return set_length(&x.request, len(body))


cdef int set_response_body(Exchange x, bytes body) except -1:
    cdef Held held = x.held
    if x.filter is not None:            # they were for another body
        drop_filters(x)
    if held is None:                    # it came without a body
        held = x.held = Held.__new__(Held)
        held.answer = x.answer
    held.body = None
    held.keep(body, len(body))
    held.has_trailers = False
    return set_length(&x.response, len(body))


cdef void unframe(Exchange x) noexcept:
    cdef uint32_t i
    for i in range(x.response.count):
        if x.response.headers[i].known == CONTENT_LENGTH:
            x.response.headers[i].mark |= DROPPED
    x.response.content_length = -1


cdef bytes held_bytes(Held held):
    return held.body.data[held.body.start:held.body.end] if held.body is not None else b""
