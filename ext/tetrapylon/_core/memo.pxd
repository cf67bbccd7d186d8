# What was found out about some bytes, kept until it ends: verified tokens, checked passwords, verdicts.

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t


cdef struct Entry:
    uint64_t hash
    uint64_t ends           # ns, monotonic
    PyObject* key           # bytes, owned; NULL: free
    PyObject* value         # owned
    int32_t next            # of the same bucket, or of the free ones; -1: none
    bint used               # since the hand passed


cdef class Memo:
    # Bounded: when it is full, one of those goes that were not asked for lately ("second chance").
    cdef Entry* entries
    cdef int32_t* buckets
    cdef uint32_t mask              # of the buckets
    cdef readonly uint32_t count
    cdef uint32_t made              # entries that were ever used
    cdef uint32_t room
    cdef readonly uint32_t most
    cdef int32_t spare              # a free entry; -1: none
    cdef uint32_t hand
    cdef uint64_t seed

    cdef object find(self, const char* key, size_t n, uint64_t now)         # None: not known, or over
    cdef void put(self, bytes key, object value, uint64_t ends) except *
    cdef void grow(self) except *
    cdef void remove(self, int32_t index) noexcept
    cdef int32_t victim(self) noexcept
