# Responses on their way into the store.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.caching.freshness cimport Control, Guess, Terms
from tetrapylon._core.caching.store cimport Location, Store, Stored
from tetrapylon._core.exchange cimport Exchange, Filter
from tetrapylon._core.shared.limits cimport Hash


cdef class Asked:
    # One request to the origin, as far as its answer is to be kept.
    cdef Hash key
    cdef uint64_t uri
    cdef uint64_t at                # monotonic, ns
    cdef Head head                  # the request as it came to the cache
    cdef bytes path
    cdef bint personal              # it says who asks, or the gateway knows
    cdef Location place             # its own, where machines share; None: they do not
    cdef Stored stale               # what is stored already, and may be used no more without asking
    cdef bint validates             # the request asks whether that is still good


cdef class Draft(Filter):
    # Copies a body as it passes. Only one that is complete, and not too large, becomes an object.
    cdef Store store
    cdef Stored stored              # all but its body
    cdef char* data
    cdef size_t size
    cdef size_t room
    cdef size_t limit
    cdef int64_t announced          # bytes; -1: chunked
    cdef uint32_t lines             # that the response's head had
    cdef bint closed

    cdef bint take(self, const char* data, size_t n) noexcept       # False: it is given up
    cdef bint finish(self) noexcept                                 # has it been stored?
    cdef void drop(self) noexcept


cdef Draft draft_of(const Head* response, const Head* request, const Control* said, Asked asked,
                    const Guess* guess, Store store, size_t limit, bytes tag_field, uint64_t now)
cdef Stored freshened(Asked asked, const Head* response, const Guess* guess, uint64_t now)
cdef void add_validators(Head* request, const Head* stored) noexcept
cdef list fields_for(Exchange x, Stored stored)         # of the cache's own request, (name, value) as bytes
cdef bint asks_for_less(const Head* request, Stored stale) noexcept
cdef bint has_validator(const Head* head) noexcept
cdef int set_content_length(Head* head, size_t n) except -1
cdef bytes variant_name(const Head* request, bytes vary)    # the same on all machines
