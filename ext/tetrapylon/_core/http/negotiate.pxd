# Which content coding a client gets (RFC 9110 section 12.5.3).

from tetrapylon._core.buffer cimport Head


cdef enum Coding:
    IDENTITY = 0
    GZIP
    BROTLI
    ZSTD
    CODINGS                 # how many there are
    UNKNOWN_CODING


cdef Coding coding_of(const char* name, size_t n) noexcept nogil
cdef int acceptable(const Head* request, Coding coding) noexcept nogil      # its weight, in thousandths
cdef Coding choose_coding(const Head* request, const Coding* offered, size_t n) noexcept nogil
