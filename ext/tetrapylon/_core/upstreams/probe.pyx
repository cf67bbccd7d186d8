"""Descriptors and deadlines that call Python: the reactor by itself, with nothing built on it."""

from libc.stdint cimport uint32_t

from tetrapylon._core.reactor cimport (
    EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, Handle, Reactor, Timed, arm, disarm,
)


cdef class Probe(Handle):
    def __init__(self, Reactor reactor not None, int fd, on_ready not None, *, bint read=True,
                 bint write=False):
        self.on_ready = on_ready
        self.fd = fd
        reactor.register(self, interest(read, write))
        self.open = True

    def watch(self, *, bint read=False, bint write=False):
        self.reactor.modify(self, interest(read, write))

    def park(self):
        self.reactor.park(self)

    def unpark(self):
        self.reactor.unpark(self, interest(True, False))

    def close(self):
        self.reactor.close_handle(self, False)
        self.open = False

    def forget(self):
        self.reactor.forget_handle(self)
        self.open = False

    cdef void ready(self, uint32_t events) noexcept:
        self.on_ready(self, bool(events & EPOLLIN), bool(events & EPOLLOUT), bool(events & EPOLLHUP))

    cdef void released(self) noexcept:
        self.let_go = True


cdef uint32_t interest(bint read, bint write) noexcept:
    return (EPOLLIN | EPOLLRDHUP if read else 0) | (EPOLLOUT if write else 0)


cdef class Alarm(Timed):
    def __init__(self, Reactor reactor not None, on_due not None):
        self.reactor = reactor
        self.on_due = on_due

    @property
    def armed(self):
        return self.timer.queue is not NULL

    def arm(self, double seconds):
        self.reactor.enter()
        arm(self.reactor, self, self.reactor.queue(seconds))
        self.reactor.leave()

    def after_turn(self):
        self.reactor.after_turn(self)

    def disarm(self):
        disarm(self)

    cdef void timed_out(self) noexcept:
        self.on_due(self)


def work(Reactor reactor not None, piece not None):
    reactor.enter()
    try:
        piece()
    finally:
        reactor.leave()
