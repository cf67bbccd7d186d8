# A policy that is a class of the user's.

from tetrapylon._core.code.coroutine cimport Carrier, Runner, Waiter
from tetrapylon._core.code.guard cimport Work
from tetrapylon._core.code.handler cimport Answerer
from tetrapylon._core.code.surface cimport Response
from tetrapylon._core.exchange cimport Destination, Exchange, Filter, Ticket
from tetrapylon._core.policy cimport Policy, Verdict
from tetrapylon._core.reactor cimport DeadlineQueue, Reactor, Timed


cdef enum Hook:
    ON_REQUEST
    ON_HEAD
    ON_BODY
    ON_RESPONSE


cdef class Refused(Destination):
    # The answer to a request that a plugin failed, or refused by HTTPError.
    cdef int status
    cdef bytes text
    cdef list headers


cdef class Wait(Waiter):
    # A hook that waits, and the exchange that waits for it.
    cdef Plugin plugin
    cdef Hook hook
    cdef Ticket ticket
    cdef Response response
    cdef BodyFilter filter      # of ON_BODY
    cdef Carrier carrier
    cdef Expiry expiry
    cdef bint waiting           # the exchange was told to wait: from now on it is resumed
    cdef bint told              # the hook has ended, or was given up
    cdef object result
    cdef object error

    cdef void settle(self) noexcept
    cdef void give_up(self) noexcept


cdef class Expiry(Timed):
    cdef Wait wait


cdef class Plugin(Policy):
    cdef readonly str name
    cdef readonly object instance
    cdef object on_request
    cdef object on_head
    cdef object on_body
    cdef object on_response
    cdef object on_end
    cdef bint takes_body                # `on_request` has it whole
    cdef bint open                      # go on where it fails
    cdef Destination fallback           # what answers where it fails; None: 500
    cdef dict shared
    cdef Answerer answerer
    cdef Runner runner
    cdef Reactor reactor
    cdef Work work
    cdef DeadlineQueue* deadline        # NULL: none

    cdef Verdict ask(self, Exchange x, Hook hook, object body, Response response) noexcept
    cdef Wait wait_for(self, Hook hook, Carrier carrier, Response response, BodyFilter filter)
    cdef void hold(self, Exchange x, Wait waiting) noexcept
    cdef object hear(self, Exchange x, Hook hook, object body, Response response)
    cdef Verdict judge(self, Exchange x, Hook hook, Response response, object result) noexcept
    cdef Verdict failed(self, Exchange x, object error) noexcept


cdef class BodyFilter(Filter):
    cdef Plugin plugin
    cdef bytes piece                    # what the hook was given last
    cdef bint waits                     # for what it says of that
    cdef list queued                    # pieces that came meanwhile, from a filter before; None: none

    cdef bint hear(self, Exchange x, bytes piece) noexcept
    cdef bint settled(self, Exchange x, Wait waited) noexcept
    cdef bint judge(self, Exchange x, object result) noexcept
    cdef bint failed(self, Exchange x, object error) noexcept
    cdef bint go_on(self, Exchange x, Wait waited) noexcept
