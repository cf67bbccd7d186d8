from tetrapylon._core.exchange cimport Exchange


cdef class Policy:
    def __cinit__(self, *_, **__):
        self.request_limit = self.response_limit = 1048576
        self.stamps = getattr(type(self), "stamps_all", False)

    cdef Verdict request(self, Exchange x) noexcept:
        return CONTINUE

    cdef Verdict whole_request(self, Exchange x) noexcept:
        return CONTINUE

    cdef Verdict response(self, Exchange x) noexcept:
        return CONTINUE

    cdef Verdict whole_response(self, Exchange x, bytes body) noexcept:
        return CONTINUE

    cdef void end(self, Exchange x) noexcept:
        pass
