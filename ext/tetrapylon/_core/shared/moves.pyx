"""Routes that are on their way from one upstream to another, shared by all processes."""

from libc.errno cimport errno
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from posix.mman cimport MAP_FAILED, MAP_NORESERVE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

from tetrapylon._core.shared.board cimport swap

import os

from hashlib import blake2b

cdef enum:
    PAGE = 4096
    MAGIC = 0x6d6f7665

# Bumped whenever a struct changes: a successor with another layout must not go on with these moves.
cdef uint64_t LAYOUT = 1


cdef uint64_t key_of(str route) except? 0:
    return int.from_bytes(blake2b(route.encode(), digest_size=8).digest(), "little") or 1


cdef class Moves:
    def __cinit__(self, Py_ssize_t capacity=1024, int fd=-1):
        cdef size_t names = (<size_t>capacity * sizeof(uint64_t) + PAGE - 1) // PAGE * PAGE
        cdef bint fresh = fd < 0
        cdef void* base
        self.descriptor = -1
        if capacity < 1:
            raise ValueError(f"{capacity} moves: expected at least one")
        self.capacity = capacity
        self.size = PAGE + names + <size_t>capacity * sizeof(MoveSlot)
        if fresh:
            self.descriptor = fd = os.memfd_create("tetrapylon-moves", os.MFD_CLOEXEC)
            os.ftruncate(fd, self.size)
        elif os.fstat(fd).st_size != self.size:
            raise ValueError(f"descriptor {fd} does not hold {capacity} moves")
        # Pages that nobody touches are none: those of routes that do not move.
        base = mmap(NULL, self.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0)
        if base == MAP_FAILED:
            raise OSError(errno, f"cannot map {self.size} bytes for moves: {os.strerror(errno)}")
        self.front = <MovesFront*>base
        self.keys = <uint64_t*>(<char*>base + PAGE)
        self.slots = <MoveSlot*>(<char*>base + PAGE + names)
        if fresh:
            self.front.magic, self.front.layout = MAGIC, LAYOUT
        elif self.front.magic != MAGIC or self.front.layout != LAYOUT:
            raise ValueError(f"descriptor {fd} holds moves of another layout")
        else:
            self.descriptor = fd

    def __dealloc__(self):
        if self.front is not NULL:
            munmap(self.front, self.size)
        self.close_fd()

    @property
    def fd(self):
        return self.descriptor

    def close_fd(self):
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    cdef Py_ssize_t find(self, uint64_t key) noexcept:
        """-1: it has no slot."""
        cdef Py_ssize_t _i, at = <Py_ssize_t>(key % <uint64_t>self.capacity)
        cdef uint64_t found
        for _i in range(self.capacity):
            found = load(&self.keys[at])
            if found == key:
                return at
            if found == 0:
                return -1
            at = (at + 1) % self.capacity
        return -1

    cdef MoveSlot* claim(self, str route) except NULL:
        """The route's slot, made if there is none. Raises MemoryError once all are taken."""
        cdef uint64_t key = key_of(route)
        cdef Py_ssize_t _i, at = <Py_ssize_t>(key % <uint64_t>self.capacity)
        cdef bytes name = route.encode()[:NAME - 1]
        for _i in range(self.capacity):
            if load(&self.keys[at]) == 0 and swap(&self.keys[at], 0, key):
                memcpy(self.slots[at].name, <const char*>name, len(name))
                return &self.slots[at]
            if load(&self.keys[at]) == key:
                return &self.slots[at]
            at = (at + 1) % self.capacity
        raise MemoryError(f"more than {self.capacity} routes have had a `move` since the start: restart")

    @property
    def edges(self):
        found = [0.0]
        for power in range(LOWEST, LOWEST + POWERS):
            found += [2.0 ** power * (1.0 + step / <double>EACH) / 1e9 for step in range(EACH)]
        return [*found, 2.0 ** (LOWEST + POWERS) / 1e9]

    def set_share(self, str route not None, double share):
        store(&self.claim(route).share, <uint64_t>(share * 4294967296.0))

    def share(self, str route not None):
        cdef Py_ssize_t at = self.find(key_of(route))
        return load(&self.slots[at].share) / 4294967296.0 if at >= 0 else 0.0

    def counts(self, str route not None, bint new):
        cdef Side* side = &self.claim(route).sides[NEW if new else OLD]
        cdef int i
        # What has ended has begun: read in this order, never less has begun than has ended.
        cdef uint64_t ended = load(&side.ended)
        return (
            load(&side.started), ended, load(&side.errors), load(&side.refusals),
            [side.times[i] for i in range(CLASSES)],
        )

    def note(self, str route not None, bint new, *, bint error=False, bint refusal=False, seconds=None):
        cdef Side* side = &self.claim(route).sides[NEW if new else OLD]
        add(&side.started, 1)
        note(side, error, refusal, seconds is not None, <uint64_t>((seconds or 0.0) * 1e9))

    def rows(self):
        cdef Py_ssize_t at
        cdef MoveSlot* slot
        cdef int i
        found = []
        for at in range(self.capacity):
            if load(&self.keys[at]):
                slot = &self.slots[at]
                found.append((
                    (<bytes>slot.name).decode("utf-8", "replace"), load(&slot.share) / 4294967296.0,
                    [(load(&slot.sides[i].ended), load(&slot.sides[i].errors)) for i in (OLD, NEW)],
                ))
        return sorted(found)


cdef void note(Side* side, bint error, bint refusal, bint timed, uint64_t ns) noexcept nogil:
    """One exchange that has ended."""
    if error:
        add(&side.errors, 1)
    elif refusal:
        add(&side.refusals, 1)
    if timed and not error:
        add(&side.times[class_of(ns)], 1)
    add(&side.ended, 1)
