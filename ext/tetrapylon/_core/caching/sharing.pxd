# Answers that machines share: those of a worker's store that come from beyond it, and go there.

from libc.stdint cimport uint64_t

from tetrapylon._core.caching.cache_key cimport CacheKey
from tetrapylon._core.caching.coalesce cimport Coalescing
from tetrapylon._core.caching.freshness cimport Control
from tetrapylon._core.caching.store cimport Location, Store, Stored
from tetrapylon._core.exchange cimport Exchange, Ticket
from tetrapylon._core.policy cimport Verdict
from tetrapylon._core.shared.limits cimport Hash
from tetrapylon._core.shared.marks cimport Marks


cdef class Question:
    # A request that waits until it is known what lies beyond.
    cdef Ticket ticket
    cdef Hash key
    cdef uint64_t uri
    cdef Control wanted
    cdef bint personal
    cdef Location place
    cdef bytes known                # of what the worker has itself; None: it has nothing
    cdef uint64_t at                # monotonic, ns


cdef class Sharing(Coalescing):
    cdef Store store
    cdef Marks marks
    cdef CacheKey key
    cdef object shared              # SharedAnswers; None: each worker has its own alone
    cdef uint64_t recheck           # ns
    cdef dict changing              # exchange -> name of the URI that its request may change

    cdef bint is_sure(self, Stored stored, uint64_t now) noexcept
    cdef Verdict look(self, Exchange x, const Hash* key, uint64_t uri, const Control* wanted, bint personal,
                      Stored stored) noexcept
    cdef void ask(self, Question question) except *
    cdef Stored settled(self, Question question, Stored stored, bint same, object record)
    cdef Stored found(self, Question question, object record)
    cdef void forget(self, Stored stored) noexcept
    cdef Verdict changed(self, Exchange x, Verdict verdict) noexcept

    # What is done once it is known. `ticket`: of a request that waits; None: of one that does not.
    cdef Verdict decide(self, Exchange x, const Hash* key, uint64_t uri, const Control* wanted, bint personal,
                        Stored stored, Location place, Ticket ticket) noexcept
