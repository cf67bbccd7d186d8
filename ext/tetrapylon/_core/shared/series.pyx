"""Metrics whose labels are known when a config is compiled: words in shared memory that have names."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from tetrapylon._core.shared.segment cimport PAGE, Segment

cdef extern from * nogil:
    bint compare_and_swap "__sync_bool_compare_and_swap"(uint32_t* at, uint32_t old, uint32_t new) noexcept
    void barrier "__sync_synchronize"() noexcept

cdef enum:
    FREE = 0
    CLAIMED = 1
    COUNTER = 2
    GAUGE = 3

# Bumped whenever SeriesName changes: a successor with another must not go on with these names.
cdef uint64_t LAYOUT = 1

# Where everything goes for which there is no room.
DROPPED = b"tetrapylon_series_dropped_total"


cpdef bytes text_of(str family, dict labels=None):
    """`family{label="value"}` as Prometheus text writes it."""
    cdef list pairs = [
        '%s="%s"' % (name, str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for name, value in (labels or {}).items()
    ]
    return (f"{family}{{{','.join(pairs)}}}" if pairs else family).encode()


cdef uint64_t fnv(const char* text, size_t n) noexcept:
    """FNV-1a, the same in every process."""
    cdef uint64_t h = 0xcbf29ce484222325ULL
    cdef size_t i
    for i in range(n):
        h = (h ^ <unsigned char>text[i]) * 0x100000001b3ULL
    return h


cdef class Series(Segment):
    def __cinit__(self, Py_ssize_t workers, Py_ssize_t capacity=2048, *, Py_ssize_t width=1,
                  Py_ssize_t gauges=0, bytes overflow not None=DROPPED, str name not None="series",
                  int fd=-1):
        cdef size_t words = PAGE + <size_t>capacity * sizeof(SeriesName)
        if (workers < 1 or capacity < 1 or width < 1 or not 0 <= gauges <= width
                or len(overflow) > SERIES_TEXT):
            raise ValueError(f"{workers} workers, {capacity} names, {width} words: need one of each at least")
        self.workers = workers
        self.capacity = capacity
        self.width = width
        self.gauges = gauges
        fresh = self.open(
            name,
            f"layout {LAYOUT}, {workers} workers, {capacity} names of {width} words, {gauges} of them gauges",
            words + <size_t>(workers + 1) * <size_t>(capacity * width) * sizeof(uint64_t), fd)
        self.names = <SeriesName*>(self.base + PAGE)
        self.words = <uint64_t*>(self.base + words)
        if fresh:
            self.write(0, overflow, COUNTER)

    cdef void write(self, Py_ssize_t at, bytes text, uint32_t state) noexcept:
        cdef SeriesName* name = &self.names[at]
        name.length = <uint32_t>len(text)
        name.hash = fnv(text, len(text))
        memcpy(name.text, <const char*>text, len(text))
        barrier()
        name.state = state

    cdef Py_ssize_t slot(self, bytes text, bint gauge) except -1:
        """The slot of that name, given to it now if it has none; 0, the overflow's, if there is no room."""
        cdef uint64_t h = fnv(text, len(text))
        cdef Py_ssize_t at
        cdef SeriesName* name
        if len(text) > SERIES_TEXT:
            return 0
        for at in range(1, self.capacity):      # in the order they came: pages without names cost nothing
            name = &self.names[at]
            if name.state == FREE and compare_and_swap(&name.state, FREE, CLAIMED):
                self.write(at, text, GAUGE if gauge else COUNTER)
                return at
            # One that is being written, or whose writer died as it wrote, is passed by: at worst a name has
            # two slots, and `totals` adds them up.
            if (name.state in (COUNTER, GAUGE) and name.hash == h and name.length == <uint32_t>len(text)
                    and memcmp(name.text, <const char*>text, len(text)) == 0):
                return at
        return 0

    cdef uint64_t* word(self, Py_ssize_t worker, bytes text, bint gauge=False) except NULL:
        return &self.words[(worker * self.capacity + self.slot(text, gauge)) * self.width]

    def add(self, Py_ssize_t worker, bytes text not None, long long value=1, *, bint gauge=False):
        if not 0 <= worker <= self.workers:
            raise IndexError(f"no worker {worker}: there are {self.workers}, and the supervisor")
        self.word(worker, text, gauge)[0] += <uint64_t>value

    def clear_gauges(self, Py_ssize_t worker):
        cdef Py_ssize_t at, i, first
        cdef uint64_t* words
        for at in range(self.capacity):
            if self.names[at].state == FREE:
                return
            words = &self.words[(worker * self.capacity + at) * self.width]
            first = 0 if self.names[at].state == GAUGE else self.width - self.gauges
            for i in range(first, self.width):
                words[i] = 0

    def totals(self):
        return [(text, counts[0]) for text, counts in self.blocks()]

    def blocks(self):
        cdef dict found = {}
        cdef SeriesName* name
        cdef Py_ssize_t at, worker, i
        cdef list sums
        cdef uint64_t total
        for at in range(self.capacity):
            name = &self.names[at]
            if name.state == FREE:
                break
            if name.state not in (COUNTER, GAUGE):
                continue
            text = name.text[:name.length].decode()
            sums = found.setdefault(text, [0] * self.width)
            for i in range(self.width):
                total = 0
                for worker in range(self.workers + 1):
                    total += self.words[(worker * self.capacity + at) * self.width + i]
                sums[i] += <long long>total
        return sorted(found.items())
