# What the gateway answers by itself.

from tetrapylon._core.exchange cimport Destination, Exchange, Fault
from tetrapylon._core.policy cimport Verdict


cdef class Answer(Destination):
    # One fixed response: `respond` and `redirect` of a route, and the answers to HTTP's own questions.
    cdef unsigned int status
    cdef list headers           # (name, value) as bytes
    cdef bytes body
    cdef list location          # `Location` in parts, bytes and parameter indices in turn; None: no redirect

    cdef int fill(self, Exchange x) noexcept


cdef class Refusal(Destination):
    # A policy's no, made once: problem+json (RFC 9457) with Proxy-Status (RFC 9209).
    cdef readonly unsigned int status
    cdef bytes reason
    cdef bytes title
    cdef bytes detail
    cdef bytes error            # parameters of the Proxy-Status member
    cdef list headers           # (name, value) as bytes
    cdef bytes body

    cdef void send(self, Exchange x) noexcept       # as `start`, but that a policy has not refused it


cdef Verdict refuse(Exchange x, Refusal refusal) noexcept       # for a policy to return


cdef int fault_status(Fault fault) noexcept
cdef unsigned int fault_reject(Fault fault) noexcept
cdef const char* fault_name(Fault fault) noexcept            # for logs
cdef const char* fault_error(Fault fault) noexcept      # the Proxy-Status error type (RFC 9209 2.3)
cdef int put_problem(Exchange x, Fault fault, bytes allow, bytes gateway) except -1
cdef int expand(list parts, Exchange x, const char* path) except -1     # appends to x.response's bytes
