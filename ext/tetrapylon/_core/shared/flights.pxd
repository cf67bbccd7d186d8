"""What concurrency is counted in: requests in flight per key, a region a worker, summed (flights.h).

A region belongs to whoever holds its record lock on the memfd, which the kernel releases with the process: so
what a killed worker had in flight is found and forgotten, without anybody's help. A process's locks on a file
go with the first descriptor of it that it closes, so one that has claimed a region has no second.
"""

cimport cython
from libc.stdint cimport uint64_t

from tetrapylon._core.shared.limits cimport Hash
from tetrapylon._core.shared.segment cimport Segment


cdef extern from "flights.h" nogil:
    ctypedef struct Flight "tetrapylon_flight":
        uint64_t tag
        uint64_t count

    cdef enum:
        SEATS "TETRAPYLON_SEATS"

    Flight* board "tetrapylon_board"(Flight* bucket, uint64_t tag) noexcept
    void land "tetrapylon_land"(Flight* flight) noexcept
    void raise_to "tetrapylon_raise"(uint64_t* number, uint64_t least) noexcept
    uint64_t aloft "tetrapylon_aloft"(const Flight* bucket, uint64_t tag) noexcept


cdef struct Header:
    uint64_t taken          # regions that were ever claimed: all below this number
    uint64_t[2] key


cdef enum Boarding:
    ABOARD
    FULL                    # as many as may be are in flight
    NO_SEAT                 # the table has no room to count it


@cython.final
cdef class Flights(Segment):
    cdef readonly size_t regions
    cdef readonly size_t entries
    cdef size_t mask
    cdef Header* header
    cdef Flight* first
    cdef Py_ssize_t mine            # this process's region; -1: none claimed
    cdef long owner                 # the process that claimed it
    cdef uint64_t next_sweep        # ns

    cdef Hash hash(self, const char* data, size_t n) noexcept
    cdef Boarding enter(self, Hash hash, uint64_t limit, Flight** flight) noexcept
    cdef uint64_t sum(self, Hash hash) noexcept
    cdef bint sweep(self) noexcept
    cdef bint lock(self, Py_ssize_t region) noexcept
    cdef void clear(self, Py_ssize_t region) noexcept
