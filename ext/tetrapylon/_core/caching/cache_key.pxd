# What tells one stored response from another: the URI, and whatever else it may be made of.

cimport cython
from libc.stdint cimport uint64_t

from tetrapylon._core.buffer cimport Head, Header
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.limiting.key cimport Key
from tetrapylon._core.shared.limits cimport Hash
from tetrapylon._core.shared.marks cimport Marks


@cython.final
cdef class CacheKey:
    # Of one route. It is the same in all workers.
    cdef Marks marks
    cdef bytes zone             # tells routes apart that share a store
    cdef Key others             # parts that are no fields; None: there are none
    cdef list names             # of fields that tell apart; lower case, without underscores
    cdef readonly bint by_consumer
    cdef char* text             # where it is written
    cdef size_t text_size
    cdef size_t written         # bytes of the last one
    cdef size_t uri_written     # of these, those that are the URI's

    cdef bint write(self, Exchange x, Hash* key, uint64_t* uri) noexcept
    cdef bytes name(self)       # of the key written last: its own, and the same on all machines
    cdef bytes uri_name(self)   # and of its URI
    cdef bint is_named(self, const Head* head, const Header* line) noexcept


cdef bint survey(const Head* head, bint* personal) noexcept
