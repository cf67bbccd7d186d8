"""A word per exchange for a policy that has something to remember between its sides: no object, no dict."""

cimport cython
from libc.stdint cimport uint64_t


cdef struct Note:
    const void* owner       # NULL: a free place
    uint64_t[2] value


@cython.final
cdef class Kept:
    # Open addressing, by the exchange's address, which no other has until this one's `end`.
    cdef Note* notes
    cdef size_t mask
    cdef readonly Py_ssize_t count

    cdef uint64_t* put(self, const void* owner) noexcept        # NULL: no memory
    cdef uint64_t* get(self, const void* owner) noexcept        # NULL: nothing was put
    cdef void drop(self, const void* owner) noexcept
    cdef bint grow(self) noexcept
