# Who a request is from: where it shows its credential, what upstreams are told, and how it is turned away.

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.exchange cimport Consumer, Exchange
from tetrapylon._core.http.respond cimport Refusal
from tetrapylon._core.policy cimport Policy, Verdict


cdef enum Found:
    ABSENT
    PRESENT
    UNCLEAR             # twice, or not as its scheme has it


cdef enum Kind:
    HEADER
    COOKIE
    QUERY


cdef class Place:
    # Where a credential is shown. `find` keeps it out of the access log, and with `strip` from upstreams.
    cdef bytes name             # of a header field in lower case
    cdef bytes scheme           # in front of it, in lower case; None: it stands alone
    cdef Kind kind
    cdef bint strip

    cdef Found find(self, Exchange x, const char** data, size_t* n) noexcept
    cdef Found in_header(self, Exchange x, const char** data, size_t* n) noexcept
    cdef Found in_cookie(self, Exchange x, const char** data, size_t* n) noexcept
    cdef Found in_query(self, Exchange x, const char** data, size_t* n) noexcept


cdef class Known(Consumer):
    # A consumer as one policy made it known.
    cdef readonly frozenset scopes
    cdef bytes lines            # header fields for upstreams, in one piece: many consumers fit no cache


cdef class Denial:
    cdef Refusal refusal
    cdef uint64_t* count
    cdef object slab            # keeps `count` alive


cdef class Guard(Policy):
    # A policy that turns requests away: each for a reason that is counted.
    cdef str policy             # its name, for the counters
    cdef object slab
    cdef dict denials           # reason -> Denial

    cdef Verdict deny(self, Exchange x, str reason) noexcept


cdef class Identity(Guard):
    # A guard that says who a request is from.
    cdef bint optional

    cdef Verdict admit(self, Exchange x, Known who) noexcept
    cdef Verdict absent(self, Exchange x) noexcept      # nothing was shown


cdef Found look(tuple places, Exchange x, const char** data, size_t* n) noexcept
