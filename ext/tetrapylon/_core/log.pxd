# The access log: one JSON line a request, encoded into a buffer and written in batches.

cimport cython
from libc.stdint cimport uint16_t, uint64_t

cdef enum:
    # No line is longer, so that one write to a pipe can hold it and lines of several workers never mix
    # (PIPE_BUF, pipe(7)). Longer values are cut and end in U+2026.
    LINE_MAX = 4096

# Any bytes; NULL leaves the field out.
cdef struct Text:
    const char* data
    size_t length

cdef struct AccessRecord:
    uint64_t time_ns         # wall clock at the end of the request; 0: now
    uint64_t duration_us     # first byte of the request to last byte of the response
    uint64_t gateway_us      # of that, what was spent in the gateway
    uint64_t upstream_us     # of that, what was spent waiting for the upstream
    uint64_t bytes_in        # heads included
    uint64_t bytes_out
    uint16_t status          # what the client was told; 0 if it was told nothing
    bint failed              # the gateway's own doing: logged whatever the sample
    Text client              # address, without port
    Text method
    Text host
    Text target              # path and query as they came
    Text protocol
    Text route               # the pattern, not the path
    Text upstream            # the target that answered
    Text user_agent
    Text referer
    Text request_id
    Text error               # why the gateway failed it


@cython.final
cdef class AccessLog:
    cdef readonly object path            # None for a descriptor
    cdef readonly uint64_t lines         # encoded
    cdef readonly uint64_t dropped       # for want of room
    cdef readonly uint64_t errors        # writes that failed
    cdef object on_error
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
    cdef uint64_t threshold
    cdef uint64_t random
    cdef uint64_t second                 # what `stamp` says
    cdef char[20] stamp

    # One line, unless sampled out. Encoded at once: nothing of `record` is kept.
    cdef void write(self, const AccessRecord* record) noexcept

    # Writes what can be written without waiting.
    cpdef void flush(self) noexcept

    cdef bint room(self) noexcept
    cdef char* put_time(self, char* out, uint64_t now) noexcept
    cdef void tell_drops(self) noexcept
    cdef ssize_t write_some(self) noexcept
    cdef bint writable(self, int timeout_ms) noexcept nogil
    cdef void fail(self, int error) noexcept
    cdef int open_path(self) except -1
    cdef int adopt(self, int descriptor) except -1
