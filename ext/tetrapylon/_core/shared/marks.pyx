from libc.errno cimport errno
from libc.stdint cimport uint64_t
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

from tetrapylon._core.shared.limits cimport Hash, siphash

import os

cdef enum:
    WORDS = 65536


cdef class Marks:
    def __cinit__(self):
        cdef void* base = mmap(
            NULL, WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
        if base == MAP_FAILED:
            raise OSError(errno, f"cannot map the times of changes: {os.strerror(errno)}")
        self.times = <uint64_t*>base
        self.key[0] = int.from_bytes(os.urandom(8), "little")
        self.key[1] = int.from_bytes(os.urandom(8), "little")

    def __dealloc__(self):
        if self.times is not NULL:
            munmap(self.times, WORDS * sizeof(uint64_t))

    cdef Hash hash(self, const char* data, size_t n) noexcept:
        return siphash(self.key, data, n)

    cdef void set(self, uint64_t hash, uint64_t now) noexcept:
        self.times[hash % WORDS] = now

    cdef uint64_t get(self, uint64_t hash) noexcept:
        return self.times[hash % WORDS]
