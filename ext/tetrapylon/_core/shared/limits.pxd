"""What rates and quotas are counted in: tables in memory that all processes share (amounts.h)."""

cimport cython
from libc.stdint cimport uint64_t

from tetrapylon._core.shared.segment cimport Segment


cdef extern from "amounts.h" nogil:
    ctypedef struct Entry "tetrapylon_entry":
        uint64_t tag
        uint64_t word

    ctypedef struct Hash "tetrapylon_hash":
        uint64_t bucket
        uint64_t tag

    ctypedef struct Pace "tetrapylon_window":
        uint64_t interval
        uint64_t tolerance

    ctypedef struct Decision "tetrapylon_decision":
        uint64_t at
        uint64_t word
        int allowed
        int evicted

    ctypedef struct Journal "tetrapylon_journal":
        uint64_t room

    cdef enum:
        WAYS "TETRAPYLON_WAYS"

    Hash siphash "tetrapylon_siphash"(const uint64_t* key, const char* data, size_t n) noexcept
    void conform "tetrapylon_conform"(
        Entry* bucket, uint64_t tag, const Pace* window, int charge, uint64_t fixed_time, Decision* decision,
    ) noexcept
    void give_back "tetrapylon_give_back"(Entry* bucket, uint64_t tag, const Pace* window) noexcept
    void count_up "tetrapylon_count"(
        Entry* bucket, uint64_t tag, uint64_t today, uint64_t over, uint64_t limit, uint64_t add,
        Decision* decision,
    ) noexcept
    void write_down "tetrapylon_write_down"(Journal* journal, uint64_t at, uint64_t key, int allowed) noexcept
    void remember "tetrapylon_remember"(
        Entry* bucket, uint64_t tag, uint64_t today, uint64_t over, uint64_t used,
    ) noexcept


cdef int draw_key(uint64_t* key) except -1


cdef enum:
    MAX_WINDOWS = 4


cdef struct Taken:
    # What became of one request, and what its sender may be told. Times in ns.
    uint64_t at
    uint64_t remaining      # requests that may come at once, in the tightest window
    uint64_t reset          # until that window is as good as new
    uint64_t retry          # until the next request is allowed; 0: now
    unsigned int window     # which window it is
    bint allowed
    int evicted             # keys that were forgotten before their time, for want of room


@cython.final
cdef class Windows:
    # The rates that hold for each key, shortest first.
    cdef Pace[MAX_WINDOWS] windows
    cdef readonly Py_ssize_t count


@cython.final
cdef class Table(Segment):
    cdef readonly size_t entries
    cdef Entry* first
    cdef size_t mask
    cdef const uint64_t* key
    cdef Journal* journal           # of decisions on rates; NULL: nobody asks for them
    cdef Segment recorded           # where it is

    cdef inline Entry* bucket(self, uint64_t hash) noexcept:
        return self.first + (hash & self.mask) * WAYS

    cdef Hash hash(self, const char* data, size_t n) noexcept
    cdef void take(self, Hash hash, Windows windows, uint64_t at, Taken* taken) noexcept
    cdef void ask(self, Hash hash, Windows windows, Py_ssize_t i, bint charge, uint64_t at,
                  Decision* decision, Taken* taken) noexcept
    cdef void recall(self, Hash hash, uint64_t today, uint64_t over, uint64_t used) noexcept
