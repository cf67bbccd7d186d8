"""Routes that are on their way from one upstream to another, shared by all processes."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from tetrapylon._core.shared.board cimport swap
from tetrapylon._core.shared.segment cimport PAGE, Segment, pages

from hashlib import blake2b

# Bumped whenever a struct changes: a successor with another layout must not go on with these moves.
cdef uint64_t LAYOUT = 1


cdef uint64_t key_of(str route) except? 0:
    return int.from_bytes(blake2b(route.encode(), digest_size=8).digest(), "little") or 1


cdef class Moves(Segment):
    def __cinit__(self, Py_ssize_t capacity=1024, int fd=-1):
        cdef size_t slots = PAGE + pages(<size_t>capacity * sizeof(uint64_t))
        if capacity < 1:
            raise ValueError(f"{capacity} moves: expected at least one")
        self.capacity = capacity
        self.open(
            "moves", f"layout {LAYOUT}, {capacity} routes", slots + <size_t>capacity * sizeof(MoveSlot), fd)
        self.keys = <uint64_t*>(self.base + PAGE)
        self.slots = <MoveSlot*>(self.base + slots)

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
