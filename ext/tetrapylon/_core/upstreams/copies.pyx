"""Copies of requests."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t

from tetrapylon._core.buffer cimport (
    CONNECTION, CONTENT_LENGTH, DROPPED, EXPECT, HOP, TRANSFER_ENCODING, UPGRADE, Head, Header, put,
)
from tetrapylon._core.exchange cimport Exchange, Peer, Plan, Stages
from tetrapylon._core.upstreams.call cimport Call


cdef class Copy(Call):
    def __init__(self):
        raise TypeError("a Copy is made of an exchange")

    cdef void make(self, Stages stages, Plan plan, bytes text, bytes content, size_t limit,
                   Peer peer) noexcept:
        """`text` is what `copied_head` made. A body's length is added."""
        self.stages = stages
        self.plan = plan
        if content is None:
            self.text = text + b"\r\n"
        else:
            self.text = b"%bContent-Length: %d\r\n\r\n" % (text, len(content))
        self.content = content
        self.limit = limit
        self.headers = []
        self.payload = b""
        self.pieces = []
        self.peer = peer


cdef inline bint goes_on(const Header* line) noexcept:
    return not line.mark & (DROPPED | HOP) and line.known not in (
        EXPECT, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE)


cdef bytes copied_head(Exchange x):
    cdef Head* head = &x.request
    cdef const Header* line
    cdef size_t n = head.method_length + head.target_length + 12
    cdef uint32_t i
    cdef bytes text
    cdef char* at
    for i in range(head.count):
        line = &head.headers[i]
        if goes_on(line):
            n += line.name_length + line.value_length + 4
    text = PyBytes_FromStringAndSize(NULL, n)
    at = PyBytes_AS_STRING(text)
    at = put(at, head.data + head.method, head.method_length)
    at = put(at, b" ", 1)
    at = put(at, head.data + head.target, head.target_length)
    at = put(at, b" HTTP/1.1\r\n", 11)
    for i in range(head.count):
        line = &head.headers[i]
        if goes_on(line):
            at = put(at, head.data + line.name, line.name_length)
            at = put(at, b": ", 2)
            at = put(at, head.data + line.value, line.value_length)
            at = put(at, b"\r\n", 2)
    return text
