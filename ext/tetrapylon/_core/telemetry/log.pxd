# The access log: a line a request, kept in a buffer and written in batches.

cimport cython
from libc.stdint cimport uint64_t

from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.telemetry.log_line cimport AccessRecord, LineFormat


@cython.final
cdef class AccessLog:
    cdef readonly object path            # None for a descriptor
    cdef readonly uint64_t lines         # encoded
    cdef readonly uint64_t dropped       # for want of room
    cdef readonly uint64_t errors        # writes that failed
    cdef readonly LineFormat format
    cdef object on_error                 # (OSError): a write failed, the one before did not
    cdef object on_drops                 # (how many), where a line of the format cannot say it
    cdef object on_recovery              # (): a write succeeded, the one before did not
    cdef object syslog                   # where datagrams go; None for all else
    cdef Slab slab                       # counts drops; or None
    cdef int descriptor
    cdef int kind
    cdef bint owned
    cdef bint failing                    # reported; the next failure is not
    cdef bint stuck                      # the reader is slow: only `flush` tries again
    cdef char* buffer
    cdef size_t start                    # of what is not yet written
    cdef size_t end
    cdef size_t size
    cdef size_t limit
    cdef uint64_t untold                 # lines dropped since the last line that told of it
    cdef uint64_t share                  # of 2**53 lines
    cdef uint64_t random
    cdef uint64_t looked                 # wall clock: when the file was last tried to be opened anew
    cdef bint gone

    # One line, unless sampled out. Encoded at once: nothing of `record` is kept.
    cdef void write(self, const AccessRecord* record) noexcept

    # Writes what can be written without waiting.
    cpdef void flush(self) noexcept

    cdef bint room(self) noexcept
    cdef bint present(self) noexcept
    cdef void drop(self, uint64_t lines) noexcept
    cdef void recover(self) noexcept
    cdef ssize_t send_line(self) noexcept
    cdef void tell_drops(self) noexcept
    cdef ssize_t write_some(self) noexcept
    cdef bint writable(self, int timeout_ms) noexcept nogil
    cdef void fail(self, int error) noexcept
    cdef int open_path(self) except -1
    cdef int adopt(self, int descriptor) except -1


cdef uint64_t share_of(double sample) noexcept     # of 2**53
