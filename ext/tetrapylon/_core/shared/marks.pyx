from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from tetrapylon._core.shared.limits cimport Hash, draw_key, siphash
from tetrapylon._core.shared.segment cimport HEAD, PAGE, Segment

cdef enum:
    WORDS = 65536

# Bumped whenever the meaning of a word changes: a successor with another must not go on with these.
cdef uint64_t LAYOUT = 1


cdef class Marks(Segment):
    def __cinit__(self, int fd=-1):
        fresh = self.open("marks", f"layout {LAYOUT}, {WORDS} times", PAGE + WORDS * sizeof(uint64_t), fd)
        if fresh:
            draw_key(<uint64_t*>(self.base + HEAD))
        memcpy(self.key, self.base + HEAD, sizeof(self.key))
        self.times = <uint64_t*>(self.base + PAGE)

    cdef Hash hash(self, const char* data, size_t n) noexcept:
        return siphash(self.key, data, n)

    cdef void set(self, uint64_t hash, uint64_t now) noexcept:
        self.times[hash % WORDS] = now

    cdef uint64_t get(self, uint64_t hash) noexcept:
        return self.times[hash % WORDS]
