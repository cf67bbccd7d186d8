"""The board: health, breakers and weights of targets, shared by all processes."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from tetrapylon._core.reactor cimport clock
from tetrapylon._core.shared.segment cimport HEAD, PAGE, Segment

from hashlib import blake2b

# Bumped whenever a struct changes: a successor with another layout must not go on with this board.
cdef uint64_t LAYOUT = 1

cdef uint64_t STALE = 15_000_000_000            # ns: no worker has had the target for so long
cdef uint64_t FORGOTTEN = 600_000_000_000       # after which its slot may be another's
cdef uint64_t LEASE = 3_000_000_000

CHECKED = ("unchecked", "healthy", "unhealthy")
CIRCUITS = ("closed", "open", "half_open")


cdef uint64_t key_of(str upstream, str target) except? 0:
    digest = blake2b(f"{upstream}\0{target}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


cdef int set_text(char* field, size_t room, str text) except -1:
    data = text.encode()[:room - 1]
    memset(field, 0, room)
    memcpy(field, <const char*>data, len(data))
    return 0


cdef class Spare:
    """A slot that only this process sees."""
    cdef Slot* slot

    def __cinit__(self):
        self.slot = <Slot*>calloc(1, sizeof(Slot))
        if self.slot is NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.slot)


cdef class Board(Segment):
    def __cinit__(self, Py_ssize_t capacity=1024, int fd=-1):
        if capacity < 1:
            raise ValueError(f"a board of {capacity} slots: expected at least one")
        self.capacity = capacity
        self.spare = []
        self.open("board", f"layout {LAYOUT}, {capacity} slots", PAGE + <size_t>capacity * sizeof(Slot), fd)
        self.front = <Front*>(self.base + HEAD)
        self.slots = <Slot*>(self.base + PAGE)

    cdef Slot* find(self, str upstream, str target) except? NULL:
        cdef uint64_t key = key_of(upstream, target)
        cdef Py_ssize_t at = <Py_ssize_t>(key % <uint64_t>self.capacity)
        cdef uint64_t found
        for _ in range(self.capacity):
            found = load(&self.slots[at].key)
            if found == key:
                return &self.slots[at]
            if found == 0:
                return NULL
            at = (at + 1) % self.capacity
        return NULL

    cdef Slot* claim(self, str upstream, str target) except NULL:
        """The target's slot. With none left, one that this process alone sees."""
        cdef uint64_t key = key_of(upstream, target)
        cdef uint64_t now = clock()
        cdef uint64_t found
        cdef Py_ssize_t at = <Py_ssize_t>(key % <uint64_t>self.capacity)
        cdef Slot* slot = self.find(upstream, target)
        cdef Spare spare
        if slot is not NULL:
            store(&slot.seen, now)
            return slot
        for _ in range(self.capacity):
            slot = &self.slots[at]
            found = load(&slot.key)
            if found == key:
                return slot
            if (found == 0 or load(&slot.seen) + FORGOTTEN < now) and swap(&slot.key, found, key):
                memset(&slot.seen, 0, sizeof(Slot) - sizeof(uint64_t))
                set_text(slot.upstream, sizeof(slot.upstream), upstream)
                set_text(slot.target, sizeof(slot.target), target)
                store(&slot.seen, now)
                return slot
            if load(&slot.key) == key:          # another process was quicker
                return slot
            at = (at + 1) % self.capacity
        spare = Spare()
        self.spare.append(spare)
        return spare.slot

    def rows(self):
        cdef uint64_t now = clock()
        cdef Py_ssize_t i
        cdef Slot* slot
        rows = []
        for i in range(self.capacity):
            slot = &self.slots[i]
            if load(&slot.key) and load(&slot.seen) + STALE > now:
                rows.append(row(slot, now))
        rows.sort(key=names)
        return rows

    def set_weight(self, str upstream not None, str target not None, weight):
        cdef Slot* slot = self.find(upstream, target)
        if slot is NULL or not target:
            raise KeyError(target)
        store(&slot.weight, 0 if weight is None else weight + 1)
        bump(self)

    def renew(self, str upstream not None, str target not None):
        cdef Slot* slot = self.claim(upstream, target)
        memset(&slot.weight, 0, <char*>&slot.checks - <char*>&slot.weight)
        bump(self)

    def release(self, str upstream not None, str target not None):
        cdef uint64_t now = clock()
        cdef Slot* slot = self.find(upstream, target)
        if slot is not NULL:
            store(&slot.seen, now - min(now, STALE))

    def check(self, str upstream not None, str target not None, bint passed):
        cdef Slot* slot = self.claim(upstream, target)
        add(&slot.checks, 1)
        if not passed:
            add(&slot.check_failures, 1)

    def mark(self, str upstream not None, str target not None, bint healthy):
        cdef Slot* slot = self.claim(upstream, target)
        cdef uint64_t before = exchange(&slot.checked, HEALTHY if healthy else UNHEALTHY)
        if before == (HEALTHY if healthy else UNHEALTHY):
            return False
        if healthy and before == UNHEALTHY:
            store(&slot.since, clock())
            add(&slot.became_healthy, 1)
        elif not healthy:
            add(&slot.became_unhealthy, 1)
        bump(self)
        return True

    def unmark(self, str upstream not None, str target not None):
        cdef Slot* slot = self.claim(upstream, target)
        if exchange(&slot.checked, UNCHECKED) != UNCHECKED:
            bump(self)

    def lead(self, uint64_t pid):
        cdef uint64_t now = clock()
        cdef uint64_t leader = load(&self.front.leader)
        if leader != pid and load(&self.front.leader_seen) + LEASE > now:
            return False
        if leader != pid and not swap(&self.front.leader, leader, pid):
            return False
        store(&self.front.leader_seen, now)
        return True

    def resign(self, uint64_t pid):
        if load(&self.front.leader) == pid:
            store(&self.front.leader_seen, 0)

    @property
    def epoch(self):
        return load(&self.front.epoch)


def names(row):
    return row["upstream"], row["target"]


cdef dict row(Slot* slot, uint64_t now):
    cdef uint64_t until = load(&slot.ejected_until)
    cdef uint64_t weight = load(&slot.weight)
    return {
        "upstream": (<bytes>slot.upstream).decode("utf-8", "replace"),
        "target": (<bytes>slot.target).decode("utf-8", "replace"),
        "weight": None if weight == 0 else weight - 1,
        "checked": CHECKED[load(&slot.checked)],
        "ejected_for": (until - now) / 1e9 if until > now else 0.0,
        "on_trial": load(&slot.trial) != 0,
        "failures_in_row": load(&slot.row),
        "circuit": CIRCUITS[load(&slot.circuit)],
        "latency": load(&slot.mean) / 1e6,
        "totals": {
            "checks": slot.checks,
            "check_failures": slot.check_failures,
            "unhealthy": slot.became_unhealthy,
            "healthy": slot.became_healthy,
            "ejected": slot.ejected,
            "returned": slot.returned,
            "circuit_opened": slot.circuit_opened,
            "circuit_closed": slot.circuit_closed,
            "retries": slot.retries,
            "retries_denied": slot.retries_denied,
            "hedges": slot.hedges,
            "shed": slot.shed,
            "unavailable": slot.unavailable,
        },
    }
