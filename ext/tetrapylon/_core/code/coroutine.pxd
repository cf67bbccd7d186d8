# Users' coroutines, run at once as far as they go without waiting, and as true tasks of the loop from there.

from tetrapylon._core.code.guard cimport Work, begin, end


cdef class Waiter:
    # Who wants to know how a coroutine ended that had to wait. One of the two is called, once, by the loop.
    cdef void returned(self, object result) noexcept
    cdef void raised(self, object error) noexcept


cdef class Parking:
    # The future that a carrier's task waits for between coroutines.
    cdef public bint _asyncio_future_blocking
    cdef Carrier carrier
    cdef object wakeup
    cdef bint cancelled


cdef class Carrier:
    # The coroutine of a task; it carries users' coroutines, one after the other.
    cdef Runner runner
    cdef object task
    cdef object context
    cdef object pristine                # the context's content before any of them ran
    cdef Parking parking
    cdef object coro                    # None: parked, or about to be
    cdef object awaited                 # what its first step yielded, for the task to wait for
    cdef bint first                     # its first step runs now, outside the task
    cdef bint begun                     # and has ended in a wait
    cdef bint spoiled                   # not fit for another coroutine
    cdef Carrier under                  # the one that was parked before it
    cdef Waiter waiter
    cdef Work work

    cdef bint clean(self) except -1
    cdef object next(self, object value)
    cdef object step(self, object value)
    cdef object settle(self, object result, object error)
    cdef object park(self)
    cdef void cancel(self) noexcept


cdef class Runner:
    # One a gateway: the loop, and the carriers that are parked on it.
    cdef readonly object loop
    cdef object enter_task
    cdef object leave_task
    cdef object context                 # which every coroutine begins with
    cdef Carrier parked                 # the last one
    cdef readonly Py_ssize_t idle_tasks     # how many are parked
    cdef set busy                       # those that carry a coroutine which waits

    cdef Carrier waiting                # what the last `run` left waiting; None: it has ended

    cdef object run(self, object coro, Work work)
    cdef Carrier start(self)
    cdef void park(self, Carrier carrier) noexcept
    cdef void wait(self, Carrier carrier, Waiter waiter) noexcept
    cdef Carrier idle(self)
    cdef object enter(self, object task)
    cdef void leave(self, object task, object displaced) noexcept
    cdef object displace(self)
    cdef void restore(self, object task) noexcept
