# Copies of requests on their way to somebody else, too: for a mirror, and for a shadow.

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.exchange cimport Exchange, Peer, Plan, Stages
from tetrapylon._core.upstreams.call cimport Call


cdef class Copy(Call):
    # A request made of another exchange's.
    cdef void make(self, Stages stages, Plan plan, bytes text, bytes content, size_t limit,
                   Peer peer) noexcept


# Of the request, as it goes on; without what belongs to its framing.
cdef bytes copied_head(Exchange x)
