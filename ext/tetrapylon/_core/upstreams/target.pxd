from libc.stdint cimport int64_t, uint64_t

from tetrapylon._core.net.tls cimport Tls
from tetrapylon._core.shared.board cimport Board, Slot
from tetrapylon._core.stream cimport Connection


cdef class Target:
    # One server of an upstream: its addresses, all used in turn, and its idle connections, most recently used
    # first.
    cdef readonly str name
    cdef bytes label
    cdef bytes host                     # what `host: target` sends
    cdef public int weight
    cdef readonly int priority          # 0 is asked first
    cdef readonly str zone              # "": none
    cdef readonly Tls tls               # None: it speaks plain HTTP
    cdef readonly list addresses
    cdef Py_ssize_t turn
    cdef Connection idle
    cdef readonly Py_ssize_t connections
    cdef readonly Py_ssize_t active     # requests of this worker that are under way to it

    cdef Board board                    # None until it belongs to an upstream
    cdef Slot* slot
    cdef int64_t share                  # its weight at this moment, times SHARE_ONE
    cdef int64_t credit                 # smooth weighted round robin
    cdef Py_ssize_t most                # connections to it, so that some are left for the others
    cdef bint gone                      # no target of its upstream any more
    cdef bint fit                       # it may be given requests
    cdef bint trial                     # one request at a time, until one went well
    cdef uint64_t key                   # of its name, for hashing
    cdef bytes token                    # what a sticky cookie calls it

    cdef int join(self, Board board, str upstream) except -1


cdef enum:
    SHARE_ONE = 100
