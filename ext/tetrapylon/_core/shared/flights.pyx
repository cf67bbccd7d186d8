from libc.stdint cimport uint64_t
from libc.string cimport memset

from tetrapylon._core.reactor cimport clock
from tetrapylon._core.shared.limits cimport draw_key, siphash
from tetrapylon._core.shared.segment cimport HEAD, PAGE, Segment

import os
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf

cdef enum:
    SWEEP_EVERY = 100_000_000       # ns

# Bumped whenever a struct changes: a successor with another layout must not go on with these regions.
cdef uint64_t LAYOUT = 1


cdef class Flights(Segment):
    def __cinit__(self, Py_ssize_t regions, Py_ssize_t entries, int fd=-1):
        self.mine = -1
        if not 1 <= regions <= 4096 or not 1 <= entries <= 1 << 24:
            raise ValueError(f"{regions} regions of {entries} entries; expected 1 to 4096, of 1 to {1 << 24}")
        self.regions = regions
        self.entries = PAGE // sizeof(Flight)
        while self.entries < <size_t>entries:
            self.entries *= 2
        self.mask = self.entries // SEATS - 1
        fresh = self.open(
            "flights", f"layout {LAYOUT}, {regions} regions of {self.entries} entries",
            PAGE + self.regions * self.entries * sizeof(Flight), fd)
        self.header = <Header*>(self.base + HEAD)
        self.first = <Flight*>(self.base + PAGE)
        if fresh:
            draw_key(self.header.key)

    def claim(self):
        cdef Py_ssize_t region
        if self.mine >= 0 and self.owner == os.getpid():
            return
        for region in range(<Py_ssize_t>self.regions):
            if not self.lock(region):
                continue
            self.clear(region)
            self.mine = region
            self.owner = os.getpid()
            raise_to(&self.header.taken, region + 1)
            return
        raise OSError(f"all {self.regions} regions for requests in flight have an owner that lives")

    cdef bint lock(self, Py_ssize_t region) noexcept:
        try:
            lockf(self.descriptor, LOCK_EX | LOCK_NB, 1, region)
        except OSError:
            return False        # its owner lives
        return True

    cdef void clear(self, Py_ssize_t region) noexcept:
        memset(self.first + region * self.entries, 0, self.entries * sizeof(Flight))

    cdef Hash hash(self, const char* data, size_t n) noexcept:
        return siphash(self.header.key, data, n)

    cdef uint64_t sum(self, Hash hash) noexcept:
        cdef Flight* bucket = self.first + (hash.bucket & self.mask) * SEATS
        cdef uint64_t found = 0
        cdef uint64_t i
        for i in range(self.header.taken):
            found += aloft(bucket + i * self.entries, hash.tag)
        return found

    cdef Boarding enter(self, Hash hash, uint64_t limit, Flight** flight) noexcept:
        """Count one more in, then look whether it was too many: two that come at once may both be refused."""
        cdef Flight* bucket = self.first + self.mine * self.entries + (hash.bucket & self.mask) * SEATS
        flight[0] = board(bucket, hash.tag)
        if flight[0] is NULL:
            return NO_SEAT
        if self.sum(hash) <= limit or (self.sweep() and self.sum(hash) <= limit):
            return ABOARD
        land(flight[0])
        return FULL

    cdef bint sweep(self) noexcept:
        """Forget what dead workers had in flight; now and then, for it asks the kernel."""
        cdef uint64_t now = clock()
        cdef Py_ssize_t region
        cdef bint found = False
        if now < self.next_sweep:
            return False
        self.next_sweep = now + SWEEP_EVERY
        for region in range(<Py_ssize_t>self.header.taken):
            if region != self.mine and self.lock(region):
                self.clear(region)
                lockf(self.descriptor, LOCK_UN, 1, region)
                found = True
        return found

    def board(self, bytes key not None, uint64_t limit):
        cdef Flight* flight = NULL
        cdef Boarding boarding = self.enter(self.hash(key, len(key)), limit, &flight)
        return {ABOARD: True, FULL: False}.get(boarding)

    def land(self, bytes key not None):
        cdef Hash hash = self.hash(key, len(key))
        cdef Flight* bucket = self.first + self.mine * self.entries + (hash.bucket & self.mask) * SEATS
        cdef int i
        for i in range(SEATS):
            if bucket[i].tag == hash.tag and bucket[i].count:
                land(&bucket[i])
                return
        raise KeyError(key)

    def aloft(self, bytes key not None):
        return self.sum(self.hash(key, len(key)))
