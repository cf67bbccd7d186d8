"""Keeps small bodies of requests, so that they can be sent again. For `retry`."""

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict


cdef class Replay(Policy):
    cdef frozenset methods

    def __init__(self, size_t limit, methods):
        """Bodies of at most `limit` bytes, whose length is announced, of requests with one of `methods`."""
        self.request_limit = limit
        self.methods = frozenset(methods)

    cdef Verdict request(self, Exchange x) noexcept:
        if (not x.request.has_body or x.request.content_length < 0
                or <size_t>x.request.content_length > self.request_limit):
            return CONTINUE
        if x.request.data[x.request.method:x.request.method + x.request.method_length] in self.methods:
            return COLLECT
        return CONTINUE
