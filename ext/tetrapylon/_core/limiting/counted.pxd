# What policies that count requests by key have in common: who is asked, and what is told.

from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.respond cimport Refusal
from tetrapylon._core.limiting.amount_fields cimport Fields
from tetrapylon._core.limiting.key cimport Key
from tetrapylon._core.policy cimport Policy, Verdict
from tetrapylon._core.shared.limits cimport Table
from tetrapylon._core.telemetry.counters cimport Slab


cdef class Counted(Policy):
    cdef Key key
    cdef Table table
    cdef Fields fields
    cdef Refusal refusal
    cdef Refusal away
    cdef object batch           # asks Redis; None: this machine counts alone
    cdef int late               # what happens when Redis is away
    cdef uint64_t* forgotten
    cdef uint64_t* failures
    cdef Slab slab              # keeps both

    cdef Verdict without_store(self, Exchange x) noexcept
    cdef Verdict count(self, Exchange x, const char* key, size_t n) noexcept    # on this machine
    cdef bytes question(self, const char* key, size_t n)                        # what Redis is asked
    cdef Verdict decide(self, Exchange x, bint allowed, uint64_t remaining, uint64_t reset, uint64_t retry,
                        unsigned int window) noexcept                           # times in ns
