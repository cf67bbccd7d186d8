"""What was found out about some bytes, kept until it ends, in bounded memory."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy

import os

cdef enum:
    FIRST_ROOM = 64


cdef inline uint64_t mix(uint64_t seed, const char* s, size_t n) noexcept nogil:
    """The seed is secret and only what was found out is kept: nobody can choose what meets in a bucket."""
    cdef uint64_t h = seed ^ (n * 0x9E3779B97F4A7C15ULL)
    cdef uint64_t word = 0
    while n >= 8:
        memcpy(&word, s, 8)
        h = (h ^ word) * 0xD6E8FEB86659FD93ULL
        h ^= h >> 32
        s += 8
        n -= 8
    if n:
        word = 0
        memcpy(&word, s, n)
        h = (h ^ word) * 0xD6E8FEB86659FD93ULL
        h ^= h >> 32
    h *= 0xD6E8FEB86659FD93ULL
    return h ^ (h >> 29)


cdef class Memo:
    def __cinit__(self, uint32_t most, *_, **__):
        """Keeps at most `most`, which is at least 1."""
        if not 1 <= most <= 0x20000000:
            raise ValueError(f"{most} is no number of entries")
        self.most = most
        self.spare = -1
        self.seed = int.from_bytes(os.urandom(8), "little")

    def __dealloc__(self):
        self.clear()
        free(self.entries)
        free(self.buckets)

    def clear(self):
        """Forget everything."""
        cdef uint32_t i
        for i in range(self.made):
            if self.entries[i].key is not NULL:
                self.remove(<int32_t>i)

    def get(self, bytes key not None, double now):
        """What is known of `key` at the time `now`, in seconds of the monotonic clock; None: nothing."""
        return self.find(key, len(key), <uint64_t>(now * 1e9))

    def set(self, bytes key not None, value not None, double ends):
        """Keep `value` until `ends`, in seconds of the monotonic clock."""
        self.put(key, value, <uint64_t>(ends * 1e9))

    cdef object find(self, const char* key, size_t n, uint64_t now):
        cdef uint64_t h
        cdef int32_t at
        cdef Entry* entry
        if self.count == 0:
            return None
        h = mix(self.seed, key, n)
        at = self.buckets[h & self.mask]
        while at >= 0:
            entry = &self.entries[at]
            if (entry.hash == h and <size_t>PyBytes_GET_SIZE(<object>entry.key) == n
                    and memcmp(PyBytes_AS_STRING(<object>entry.key), key, n) == 0):
                if entry.ends <= now:
                    self.remove(at)
                    return None
                entry.used = True
                return <object>entry.value
            at = entry.next
        return None

    cdef void put(self, bytes key, object value, uint64_t ends) except *:
        cdef uint64_t h = mix(self.seed, key, len(key))
        cdef int32_t at
        cdef Entry* entry
        if self.buckets is not NULL:
            at = self.buckets[h & self.mask]
            while at >= 0:
                entry = &self.entries[at]
                if entry.hash == h and <bytes>entry.key == key:
                    self.remove(at)
                    break
                at = entry.next
        if self.count == self.most:
            self.remove(self.victim())
        if self.spare < 0 and self.made == self.room:
            self.grow()
        if self.spare >= 0:
            at = self.spare
            self.spare = self.entries[at].next
        else:
            at = <int32_t>self.made
            self.made += 1
        entry = &self.entries[at]
        entry.hash = h
        entry.ends = ends
        Py_INCREF(key)
        Py_INCREF(value)
        entry.key = <PyObject*>key
        entry.value = <PyObject*>value
        entry.used = False
        entry.next = self.buckets[h & self.mask]
        self.buckets[h & self.mask] = at
        self.count += 1

    cdef void grow(self) except *:
        cdef uint32_t room = max(<uint32_t>FIRST_ROOM, self.room * 2)
        cdef uint32_t i, n = 1
        cdef Entry* entries
        cdef int32_t* buckets
        room = min(room, self.most)
        while n < room:
            n *= 2
        buckets = <int32_t*>malloc(n * sizeof(int32_t))
        if buckets is NULL:
            raise MemoryError
        entries = <Entry*>realloc(self.entries, room * sizeof(Entry))
        if entries is NULL:
            free(buckets)
            raise MemoryError
        free(self.buckets)
        self.entries = entries
        self.buckets = buckets
        self.room = room
        self.mask = n - 1
        for i in range(n):
            buckets[i] = -1
        for i in range(self.made):
            if entries[i].key is not NULL:
                entries[i].next = buckets[entries[i].hash & self.mask]
                buckets[entries[i].hash & self.mask] = <int32_t>i

    cdef void remove(self, int32_t index) noexcept:
        cdef Entry* entry = &self.entries[index]
        cdef int32_t* link = &self.buckets[entry.hash & self.mask]
        while link[0] != index:
            link = &self.entries[link[0]].next
        link[0] = entry.next
        key = <object>entry.key
        value = <object>entry.value
        entry.key = entry.value = NULL
        entry.next = self.spare
        self.spare = index
        self.count -= 1
        Py_DECREF(key)
        Py_DECREF(value)

    cdef int32_t victim(self) noexcept:
        """Only called when full: the hand stops at the latest after one round."""
        cdef Entry* entry
        while True:
            if self.hand >= self.made:
                self.hand = 0
            entry = &self.entries[self.hand]
            self.hand += 1
            if entry.key is NULL:
                continue
            if not entry.used:
                return <int32_t>(self.hand - 1)
            entry.used = False
