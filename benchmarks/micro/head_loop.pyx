"""The data plane's own calls in a loop: what writing a head costs."""

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.exchange cimport Exchange, Peer
from tetrapylon._core.http.message cimport HEAD, Limits, Parser
from tetrapylon._core.http.parse cimport request_parser, response_parser
from tetrapylon._core.http.wire cimport LENGTH, PRESERVE, Via, put_request, put_response
from tetrapylon._core.stream cimport Stream

from libc.string cimport memcpy


cdef class Sheet(Stream):
    """Takes a head at a time, in the same place."""

    cdef char[16384] room
    cdef size_t written

    cdef char* reserve(self, size_t n) noexcept:
        return self.room if n <= sizeof(self.room) else NULL

    cdef void commit(self, char* end) noexcept:
        self.written = end - self.room


cdef class Heads:
    """An exchange whose two messages have been read."""

    cdef Exchange x
    cdef Sheet sheet
    cdef Via via

    def __init__(self, bytes request, bytes response):
        self.x = Exchange.__new__(Exchange)
        self.x.peer = Peer.__new__(Peer)
        memcpy(self.x.peer.address, b"203.0.113.7", 11)
        self.x.peer.address_n = 11
        self.sheet = Sheet.__new__(Sheet)
        self.via = Via("tetrapylon-1a2b3c4d")
        read(request_parser(Limits()), &self.x.request, request)
        read(response_parser(Limits()), &self.x.response, response)

    def requests(self, int n):
        cdef int i
        for i in range(n):
            put_request(self.x, self.sheet, PRESERVE, b"", self.via, None)
        return self.sheet.room[:self.sheet.written]

    def responses(self, int n):
        cdef int i
        for i in range(n):
            put_response(self.x, self.sheet, LENGTH, True)
        return self.sheet.room[:self.sheet.written]


cdef int read(Parser parser, Head* head, bytes said) except -1:
    parser.head = head
    if parser.next(said, len(said)) != HEAD:
        raise ValueError(f"{said!r} has no head")
    parser.head = NULL
    return 0
