from tetrapylon._core.exchange cimport Exchange


cdef enum Verdict:
    CONTINUE        # on to the next policy
    ANSWER          # x.answer holds what to answer with, by way of the policies that come after it going out
    WAIT            # somebody holds a Ticket and will resume
    COLLECT         # not before the body is whole: then whole_request or whole_response is asked


cdef class Policy:
    # One step of a route's chain. One object serves all exchanges of its route: what is an exchange's own
    # lives there.
    cdef size_t request_limit           # bytes that COLLECT takes at most: 413 beyond
    cdef size_t response_limit          # 502 beyond
    cdef bint answers_preflights        # CORS: of routes that do not take OPTIONS, too
    cdef bint stamps                    # its class says `stamps_all`: see the stub

    cdef Verdict request(self, Exchange x) noexcept
    cdef Verdict whole_request(self, Exchange x) noexcept                   # in x.body, or there is none
    cdef Verdict response(self, Exchange x) noexcept                        # its head, before it goes down
    cdef Verdict whole_response(self, Exchange x, bytes body) noexcept
    cdef void end(self, Exchange x) noexcept            # once for each exchange whose request side ran
