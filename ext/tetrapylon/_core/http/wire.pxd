# Messages as HTTP/1 puts them on the wire (RFC 9112).

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport Head, Header
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.stream cimport Stream


cdef enum Framing:
    NO_BODY
    LENGTH
    CHUNKED
    UNTIL_CLOSE


cdef enum HostKind:
    PRESERVE        # the client's Host
    FIXED           # the target's own, or a name from the config


cdef class Via:
    # This gateway's name in Via (RFC 9110 section 7.6.3), which it also knows a loop by.
    cdef bytes pseudonym

    cdef bint seen_in(self, const Head* head) noexcept


cdef class Additions:
    # Fields that requests to an upstream carry whatever the client sent; its own of these names are left out.
    cdef bytes lines
    cdef tuple names            # in lower case

    cdef bint replaces(self, const Head* head, const Header* line) noexcept


cdef size_t put_request(Exchange x, Stream stream, HostKind kind, bytes host, Via via,
                        Additions additions) noexcept
cdef size_t put_response(Exchange x, Stream stream, Framing framing, bint keep_alive) noexcept
cdef size_t put_interim(Exchange x, Stream stream) noexcept
cdef size_t put_chunk(Stream stream, const char* data, size_t n) noexcept
cdef size_t put_last_chunk(Stream stream, const Head* trailers, Additions additions=*) noexcept
cdef size_t put_http_date(char* at) noexcept
