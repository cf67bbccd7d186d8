from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from tetrapylon._core.shared.segment cimport HEAD, PAGE, Segment

import os

# Bumped whenever the meaning of an entry changes: a successor with another must not go on in this table.
cdef uint64_t LAYOUT = 1

cdef uint64_t NS = 1_000_000_000
cdef uint64_t STEP = 0x9E3779B97F4A7C15ULL      # tells a key's windows apart
# Sums of intervals stay far below PENDING, whatever the uptime.
cdef uint64_t LONGEST = 400 * 86400 * NS


cdef int draw_key(uint64_t* key) except -1:
    """Two words that no client can guess, for `siphash`."""
    cdef bytes drawn = os.urandom(2 * sizeof(uint64_t))
    memcpy(key, <const char*>drawn, 2 * sizeof(uint64_t))
    return 0


cdef class Windows:
    def __cinit__(self, rates):
        cdef Py_ssize_t i
        given = sorted(rates, key=lambda rate: rate[1])
        if not 1 <= len(given) <= MAX_WINDOWS:
            raise ValueError(f"{len(given)} windows; expected 1 to {MAX_WINDOWS}")
        self.count = len(given)
        for i, (requests, seconds, burst) in enumerate(given):
            interval = round(seconds * 1e9 / requests) if requests > 0 else 0
            if interval < 1 or burst < 1:
                raise ValueError(f"{requests} in {seconds} s, {burst} at once: need a rate and a burst")
            if interval * burst > LONGEST:
                raise ValueError(f"{burst} at {requests} in {seconds} s take longer than a year to come back")
            self.windows[i].interval = interval
            self.windows[i].tolerance = (burst - 1) * interval

    def __len__(self):
        return self.count


cdef class Table(Segment):
    def __cinit__(self, Py_ssize_t entries, int fd=-1, *, str name not None="limits"):
        if not 1 <= entries <= 1 << 30:
            raise ValueError(f"{entries} entries; expected 1 to {1 << 30}")
        self.entries = WAYS
        while self.entries < <size_t>entries:
            self.entries *= 2
        self.mask = self.entries // WAYS - 1
        fresh = self.open(
            name, f"layout {LAYOUT}, {self.entries} entries", PAGE + self.entries * sizeof(Entry), fd)
        self.key = <const uint64_t*>(self.base + HEAD)
        self.first = <Entry*>(self.base + PAGE)
        if fresh:
            draw_key(<uint64_t*>(self.base + HEAD))

    def record(self, str path not None, size_t room):
        """Write down decisions on rates, in a file that all processes have in common."""
        cdef Segment recorded = Segment()
        recorded.open_file(path, sizeof(uint64_t) * 3 * (room + 1))
        self.journal = <Journal*>recorded.base
        self.journal.room = room
        self.recorded = recorded

    cdef Hash hash(self, const char* data, size_t n) noexcept:
        return siphash(self.key, data, n)

    cdef void take(self, Hash hash, Windows windows, uint64_t at, Taken* taken) noexcept:
        """One request of a key. It is charged in all windows, or in none: several are asked first."""
        cdef Decision decision
        cdef Py_ssize_t i, last = windows.count - 1
        taken.allowed = True
        taken.retry = 0
        taken.remaining = ~<uint64_t>0
        taken.window = 0
        decision.at = decision.word = 0
        decision.evicted = 0
        if last:
            for i in range(windows.count):
                self.ask(hash, windows, i, False, at, &decision, taken)
        for i in range(windows.count):
            if not taken.allowed:
                break
            self.ask(hash, windows, i, True, at, &decision, taken)
            if not taken.allowed:       # another process was quicker, after all windows had said yes
                while i:
                    i -= 1
                    give_back(self.bucket(hash.bucket + i), hash.tag ^ (i * STEP), &windows.windows[i])
        taken.evicted = decision.evicted
        taken.at = decision.at
        if self.journal is not NULL:
            write_down(self.journal, decision.at, hash.tag, taken.allowed)

    cdef void ask(self, Hash hash, Windows windows, Py_ssize_t i, bint charge, uint64_t at,
                  Decision* decision, Taken* taken) noexcept:
        cdef Pace* window = &windows.windows[i]
        cdef uint64_t ahead, most, left, retry
        conform(self.bucket(hash.bucket + i), hash.tag ^ (i * STEP), window, charge, at, decision)
        ahead = decision.word - decision.at if decision.word > decision.at else 0
        most = window.tolerance + window.interval
        left = (most - ahead) // window.interval if ahead < most else 0
        if not decision.allowed:
            taken.allowed = False
            left = 0
            retry = ahead - window.tolerance
            if retry > taken.retry:
                taken.retry = retry
        if left < taken.remaining or i == <Py_ssize_t>taken.window:
            taken.remaining = left
            taken.reset = ahead
            taken.window = i

    def decide(self, bytes key not None, Windows windows not None, uint64_t at=0):
        cdef Taken taken
        self.take(self.hash(key, len(key)), windows, at, &taken)
        return taken

    def count(self, bytes key not None, uint64_t today, uint64_t over, uint64_t limit, uint64_t add=1):
        cdef Decision decision
        cdef Hash hash = self.hash(key, len(key))
        decision.evicted = 0
        count_up(self.bucket(hash.bucket), hash.tag, today, over, limit, add, &decision)
        return bool(decision.allowed), decision.word

    cdef void recall(self, Hash hash, uint64_t today, uint64_t over, uint64_t used) noexcept:
        remember(self.bucket(hash.bucket), hash.tag, today, over, used)

    def remember(self, bytes key not None, uint64_t today, uint64_t over, uint64_t used):
        self.recall(self.hash(key, len(key)), today, over, used)
