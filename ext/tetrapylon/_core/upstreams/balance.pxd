from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.upstreams.target cimport Target


cdef class Balancer:
    # Picks one of some targets. A tier of an upstream has its own. `targets` is never empty and holds those
    # that may take a request now.
    cdef Target pick(self, list targets, Exchange x)
    cdef void answered(self, Target target, Exchange x) noexcept    # the response's head is there
    cdef Balancer again(self)                                       # another like it


cdef class RoundRobin(Balancer):
    pass


cdef class LeastRequests(Balancer):
    cdef Py_ssize_t turn


cdef class RandomTwo(Balancer):
    pass


cdef enum KeyKind:
    BY_ADDRESS
    BY_HEADER
    BY_COOKIE
    BY_PATH
    BY_QUERY


cdef class ConsistentHash(Balancer):
    # Weighted rendezvous hashing (Thaler and Ravishankar, 1998) with bounded loads (Mirrokni et al., 2018):
    # only the keys of a target that goes find another, and none takes more than `bound` times its share.
    cdef KeyKind kind
    cdef bytes name
    cdef double bound               # 0: no bound

    cdef Target best(self, list targets, uint64_t key)


cdef class Sticky(Balancer):
    # A client keeps its target as long as that may be used.
    cdef Balancer first             # for those who have none
    cdef bytes cookie
    cdef bytes attributes


cdef uint64_t draw() noexcept
cdef double chance() noexcept       # 0 up to 1
cdef uint64_t hash_bytes(const char* data, size_t n) noexcept nogil
cdef bint find_cookie(Exchange x, bytes name, const char** value, size_t* n) noexcept
cdef bint find_key(Exchange x, KeyKind kind, bytes name, const char** value, size_t* n) noexcept
cpdef tuple read_key(str text)
