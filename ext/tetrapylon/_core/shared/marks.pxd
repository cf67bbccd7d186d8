# When something was last said to have changed: times in memory that all workers share.

from libc.stdint cimport uint64_t

from tetrapylon._core.shared.limits cimport Hash
from tetrapylon._core.shared.segment cimport Segment


cdef class Marks(Segment):
    # One word for all that have a hash in common, so that to look is one read, and a process that dies leaves
    # nothing half done. What shares a word with something that changed seems to have changed as well.
    cdef uint64_t* times        # ns, monotonic
    cdef uint64_t[2] key

    cdef Hash hash(self, const char* data, size_t n) noexcept
    cdef void set(self, uint64_t hash, uint64_t now) noexcept
    cdef uint64_t get(self, uint64_t hash) noexcept
