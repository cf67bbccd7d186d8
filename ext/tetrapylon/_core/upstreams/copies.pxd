# Copies of requests on their way to somebody else, too: for a mirror, and for a shadow.

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.exchange cimport Peer, Plan, Stages
from tetrapylon._core.upstreams.call cimport Call


cdef class Copy(Call):
    # A request made of another exchange's.
    cdef const Head* original           # to be there until `begin`

    cdef void make(self, Stages stages, Plan plan, const Head* original, bytes content, size_t limit,
                   Peer peer) noexcept
