from tetrapylon._core.exchange cimport Exchange


cdef enum Verdict:
    CONTINUE        # on to the next policy
    ANSWER          # x.answer holds what to answer with, by way of the policies entered so far
    WAIT            # somebody holds a Ticket and will resume


cdef class Policy:
    # One step of a route's chain. One object serves all exchanges of its route: what is an exchange's own
    # lives there.
    cdef Verdict request(self, Exchange x) noexcept
    cdef void response(self, Exchange x) noexcept       # the response's head, before it goes down
    cdef void end(self, Exchange x) noexcept            # once for each exchange whose request side ran


cdef class Ticket:
    # The right to resume an exchange that waits. Late or repeated use is a counted no-op: the object may be
    # another client's exchange by now, and then it has another generation.
    cdef Exchange exchange
    cdef unsigned int generation
    cdef unsigned long long number


cdef Ticket wait(Exchange x)
cdef bint current(Ticket ticket) noexcept
