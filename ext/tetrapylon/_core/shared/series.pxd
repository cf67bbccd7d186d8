from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.shared.segment cimport Segment


cdef enum:
    SERIES_TEXT = 240


cdef struct SeriesName:
    uint32_t state              # FREE, CLAIMED, COUNTER or GAUGE
    uint32_t length
    uint64_t hash
    char[SERIES_TEXT] text      # `family{label="value"}`


cpdef bytes text_of(str family, dict labels=*)


cdef class Series(Segment):
    # Words with names given while the gateway runs, by any process, in memory that all share: a table of
    # names, claimed by compare-and-swap, and a row of words for each worker, its own to write. Names stay.
    # With a `width`, each name has so many words, of which the last `gauges` are gauges.
    cdef readonly Py_ssize_t workers
    cdef readonly Py_ssize_t capacity
    cdef readonly Py_ssize_t width
    cdef Py_ssize_t gauges
    cdef SeriesName* names
    cdef uint64_t* words

    cdef Py_ssize_t slot(self, bytes text, bint gauge) except -1
    cdef void write(self, Py_ssize_t at, bytes text, uint32_t state) noexcept
    cdef uint64_t* word(self, Py_ssize_t worker, bytes text, bint gauge=*) except NULL
