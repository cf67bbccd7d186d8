from tetrapylon._core.exchange cimport Exchange


cdef class Policy:
    cdef Verdict request(self, Exchange x) noexcept:
        return CONTINUE

    cdef void response(self, Exchange x) noexcept:
        pass

    cdef void end(self, Exchange x) noexcept:
        pass


cdef class Ticket:
    pass


cdef unsigned long long issued = 0


cdef Ticket wait(Exchange x):
    global issued
    cdef Ticket ticket = Ticket.__new__(Ticket)
    issued += 1
    x.ticket = issued
    ticket.exchange = x
    ticket.generation = x.generation
    ticket.number = issued
    return ticket


cdef bint current(Ticket ticket) noexcept:
    """Does the exchange still wait for this ticket?"""
    cdef Exchange x = ticket.exchange
    return x.generation == ticket.generation and x.ticket == ticket.number and not x.over
