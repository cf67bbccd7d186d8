"""Copies of requests."""

from libc.stdint cimport uint32_t

from tetrapylon._core.buffer cimport DROPPED, EXPECT, Head, head_clone
from tetrapylon._core.exchange cimport Exchange, Peer, Plan, Stages
from tetrapylon._core.upstreams.call cimport Call


cdef class Copy(Call):
    def __init__(self):
        raise TypeError("a Copy is made of an exchange")

    cdef void make(self, Stages stages, Plan plan, const Head* original, bytes content, size_t limit,
                   Peer peer) noexcept:
        self.stages = stages
        self.plan = plan
        self.original = original
        self.content = content
        self.limit = limit
        self.headers = []
        self.peer = peer

    cdef int write(self, Exchange x) except -1:
        """As the original goes on, framing and all. The body is whole: no leave is asked to send it."""
        cdef Head* head = &x.request
        cdef uint32_t i
        if head_clone(head, self.original) < 0:
            raise MemoryError()
        self.original = NULL
        for i in range(head.count):
            if head.headers[i].known == EXPECT:
                head.headers[i].mark |= DROPPED
        head.expect_continue = head.upgrade = False
        x.body = self.content
        return 0
