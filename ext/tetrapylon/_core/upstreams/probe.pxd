from tetrapylon._core.reactor cimport Handle, Reactor, Timed


cdef class Probe(Handle):
    # A descriptor whose events call Python.
    cdef object on_ready
    cdef object __weakref__
    cdef readonly bint open
    cdef readonly bint let_go


cdef class Alarm(Timed):
    # A deadline that calls Python.
    cdef Reactor reactor
    cdef object on_due
