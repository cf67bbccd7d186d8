"""Users' coroutines: the first step runs in place, and only one that really waits costs a turn of the loop.

Yet each runs inside a true asyncio task from its first line on, with a context of its own, so that
`asyncio.current_task`, `asyncio.timeout`, task groups and what builds on them (anyio) hold what they promise.
Tasks are kept: the coroutine of each, a Carrier, waits for a future
of ours (Parking). For a request, that task is entered (by the interface that asyncio has for other
implementations of tasks), and the user's coroutine is run to its first wait. If it ends before, the task has
noticed nothing and serves the next one. If it waits, the task is woken, finds what was yielded as the next
thing to wait for, and goes on with the coroutine as with any other.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF

import asyncio
import contextvars
from asyncio.tasks import _enter_task, _leave_task

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(PyObject* iterator, PyObject* value, PyObject** result) except *
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    # Of a pointer: an object would be held by one reference more while it is asked.
    Py_ssize_t references_to "Py_REFCNT"(PyObject* o)

cdef enum:
    PARKED_MAX = 64
    OWN_REFERENCES = 2          # to a parked task: its carrier's, and that of what wakes it


cdef class Waiter:
    cdef void returned(self, object result) noexcept:
        pass

    cdef void raised(self, object error) noexcept:
        pass


cdef class Parking:
    # What asyncio.Future has and a task asks of it.

    def get_loop(self):
        return self.carrier.runner.loop

    def add_done_callback(self, callback, *, context=None):
        self.wakeup = callback

    def remove_done_callback(self, callback):
        self.wakeup = None
        return 1

    def done(self):
        return self.cancelled

    def result(self):
        if self.cancelled:
            raise asyncio.CancelledError

    def exception(self):
        return None

    def cancel(self, msg=None):
        """The task is cancelled: now where it is parked, else at the coroutine's next wait."""
        cdef Carrier carrier = self.carrier
        carrier.spoiled = True
        if carrier.first or self.wakeup is None:
            return False
        self.cancelled = True
        carrier.runner.loop.call_soon(self.wakeup, self, context=carrier.context)
        self.wakeup = None
        return True


cdef class Carrier:
    # What a coroutine has, for tasks and those who look into them.

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.next(None)

    def send(self, value):
        return self.next(value)

    cdef object next(self, object value):
        cdef object awaited
        if self.coro is None:
            return self.park()
        if self.begun:
            self.begun = False
            awaited = self.awaited
            self.awaited = None
            return awaited
        return self.step(value)

    def throw(self, kind, value=None, traceback=None):
        cdef object error = kind if value is None else value
        if isinstance(error, type):
            error = error()
        if self.coro is None:
            self.spoiled = True
            raise error
        if self.begun:
            # A task that was cancelled before it waited cancels what it is about to wait for.
            self.begun = False
            if self.awaited is not None and hasattr(self.awaited, "cancel"):
                self.awaited.cancel()
            self.awaited = None
        return self.advance(self.coro.throw, error)

    def advance(self, method, argument):
        """One step of the coroutine by a method of its own."""
        try:
            yielded = method(argument)
        except StopIteration as stop:
            return self.settle(stop.value, None)
        except BaseException as error:
            return self.settle(None, error)
        return yielded

    cdef object step(self, object value):
        cdef PyObject* result = NULL
        cdef PySendResult outcome
        cdef object given
        cdef Work work = self.work
        begin(work)
        try:
            outcome = PyIter_Send(<PyObject*>self.coro, <PyObject*>value, &result)
        except BaseException as raised:
            end(work)
            return self.settle(None, raised)
        end(work)
        given = <object>result
        Py_XDECREF(result)
        if outcome == PYGEN_NEXT:
            return given
        return self.settle(given, None)

    def close(self):
        if self.coro is not None:
            self.coro.close()
            self.coro = None
        self.spoiled = True

    @property
    def cr_running(self):
        return self.first if self.coro is None else self.coro.cr_running

    @property
    def cr_suspended(self):
        return self.coro is None or self.coro.cr_suspended

    @property
    def cr_frame(self):
        return None if self.coro is None else self.coro.cr_frame

    @property
    def cr_code(self):
        return None if self.coro is None else self.coro.cr_code

    @property
    def cr_await(self):
        return self.parking if self.coro is None else self.coro.cr_await

    @property
    def cr_origin(self):
        return None if self.coro is None else self.coro.cr_origin

    @property
    def __name__(self):
        return "idle" if self.coro is None else self.coro.__name__

    @property
    def __qualname__(self):
        return "idle" if self.coro is None else self.coro.__qualname__

    cdef object settle(self, object result, object error):
        """The coroutine has ended in the task: tell, outside of it, then wait for the next one or end too."""
        cdef Runner runner = self.runner
        cdef Waiter waiter = self.waiter
        self.coro = None
        self.waiter = None
        self.work = None
        runner.busy.discard(self)
        if waiter is not None:
            runner.leave_task(runner.loop, self.task)
            try:
                if error is not None:
                    waiter.raised(error)
                else:
                    waiter.returned(result)
            finally:
                runner.enter_task(runner.loop, self.task)
        if (self.spoiled or runner.idle_tasks >= PARKED_MAX or self.task.cancelling()
                or not self.clean()):
            self.spoiled = True
            raise StopIteration(None)
        return self.park()

    cdef object park(self):
        self.parking._asyncio_future_blocking = True
        self.runner.park(self)
        return self.parking

    cdef bint clean(self) except -1:
        """Are all context variables as they were?"""
        return self.context == self.pristine

    cdef void cancel(self) noexcept:
        """Nobody waits for the coroutine any more."""
        self.waiter = None
        self.spoiled = True
        if self.coro is not None:
            self.task.cancel()


cdef class Runner:
    def __init__(self, loop not None):
        self.loop = loop
        self.enter_task = _enter_task
        self.leave_task = _leave_task
        self.context = contextvars.copy_context()
        self.busy = set()

    cdef object displace(self):
        """The task that runs now, which is left for a moment, or None."""
        cdef object task = asyncio.current_task(self.loop)
        if task is not None:
            self.leave_task(self.loop, task)
        return task

    cdef void restore(self, object task) noexcept:
        if task is not None:
            self.enter_task(self.loop, task)

    cdef object enter(self, object task):
        """The task is the one that runs now; the one that ran, or None, is left for a moment."""
        cdef object displaced
        try:
            self.enter_task(self.loop, task)
            return None
        except RuntimeError:
            displaced = self.displace()
            self.enter_task(self.loop, task)
            return displaced

    cdef void leave(self, object task, object displaced) noexcept:
        self.leave_task(self.loop, task)
        self.restore(displaced)

    cdef void park(self, Carrier carrier) noexcept:
        carrier.under = self.parked
        self.parked = carrier
        self.idle_tasks += 1

    cdef Carrier idle(self):
        """A parked task that is as good as new, or None."""
        cdef Carrier carrier
        while self.parked is not None:
            carrier = self.parked
            self.parked = carrier.under
            carrier.under = None
            self.idle_tasks -= 1
            # Who still holds the task of an earlier coroutine could cancel this one by it. One that was
            # cancelled while parked, or in a first step, has told its carrier (Parking.cancel).
            if (not carrier.spoiled and references_to(<PyObject*>carrier.task) == OWN_REFERENCES
                    and carrier.clean()):
                return carrier
            carrier.parking.cancel()
        return None

    cdef object run(self, object coro, Work work):
        """What the coroutine returns, or raises; or `self.waiting` is set: then call `wait`."""
        cdef Carrier carrier = self.idle()
        cdef PyObject* result = NULL
        cdef PySendResult outcome = PYGEN_ERROR
        cdef object given, displaced
        cdef bint fresh = carrier is None
        self.waiting = None
        if fresh:
            carrier = self.start()
        carrier.first = True
        PyContext_Enter(carrier.context)
        try:
            displaced = self.enter(carrier.task)
            begin(work)
            try:
                outcome = PyIter_Send(<PyObject*>coro, <PyObject*>None, &result)
            finally:
                end(work)
                self.leave(carrier.task, displaced)
        finally:
            PyContext_Exit(carrier.context)
            carrier.first = False
            if not fresh and outcome != PYGEN_NEXT:
                self.park(carrier)
        given = <object>result
        Py_XDECREF(result)
        if outcome == PYGEN_RETURN:
            self.waiting = None         # one that ran within this step may wait, for its own caller
            return given
        carrier.coro = coro
        carrier.work = work
        carrier.awaited = given
        carrier.begun = True
        self.waiting = carrier
        return None

    cdef Carrier start(self):
        """A new task. Its own first step is the loop's, in the next turn: it parks then, or waits."""
        cdef Carrier carrier = Carrier.__new__(Carrier)
        carrier.runner = self
        carrier.parking = Parking.__new__(Parking)
        carrier.parking.carrier = carrier
        carrier.context = self.context.copy()
        carrier.pristine = self.context
        carrier.task = asyncio.Task(carrier, loop=self.loop, context=carrier.context)
        # Parked tasks end with their loop.
        carrier.task._log_destroy_pending = False
        return carrier

    cdef void wait(self, Carrier carrier, Waiter waiter) noexcept:
        """Go on with a coroutine that waits; `waiter` is told of its end, perhaps before this returns."""
        cdef object displaced, wakeup
        carrier.waiter = waiter
        self.busy.add(carrier)
        wakeup = carrier.parking.wakeup
        if wakeup is None:
            return                      # a new task, whose first step is to come
        carrier.parking.wakeup = None
        displaced = self.displace()
        PyContext_Enter(carrier.context)
        try:
            wakeup(carrier.parking)
        finally:
            PyContext_Exit(carrier.context)
            self.restore(displaced)

    @property
    def waiting_coroutines(self):
        return len(self.busy)

    def close(self):
        """Cancel what waits; parked tasks are let go."""
        cdef Carrier carrier
        for carrier in list(self.busy):
            carrier.cancel()
        self.busy.clear()
        while self.parked is not None:
            carrier = self.parked
            self.parked = carrier.under
            carrier.under = None
            carrier.parking.cancel()
        self.idle_tasks = 0
