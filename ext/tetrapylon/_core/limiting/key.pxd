"""What amounts are counted by: the client, the consumer, a header field, the route, or several of these."""

cimport cython
from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange


cdef enum:
    MAX_PARTS = 8
    PART = 256              # bytes of a part that are written as they are; longer ones are hashed
    KEY_ROOM = 8 + MAX_PARTS * (PART + 3)


cdef uint64_t[2] UNKEYED        # for hashes that other machines have to find too


@cython.final
cdef class Key:
    cdef readonly uint64_t limit        # whose key it is: tells apart what is counted in one table
    cdef int[MAX_PARTS] kinds
    cdef list names                     # of header fields, in lower case; None for other parts
    cdef readonly Py_ssize_t parts
    cdef int prefix

    cdef size_t write(self, Exchange x, char* out) noexcept
    cdef char* client(self, Exchange x, char* at) noexcept
    cdef char* field(self, Exchange x, bytes name, char* at) noexcept
