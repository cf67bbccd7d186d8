# Conditional and range requests, asked of a response that is at hand (RFC 9110 sections 13 and 14).

from libc.stdint cimport int64_t

from tetrapylon._core.buffer cimport Head


cdef enum Wanted:
    WHOLE
    NOT_MODIFIED    # 304
    PART            # 206
    NO_SUCH_PART    # 416


cdef bint unchanged(const Head* request, const Head* response, int64_t dated) noexcept
cdef Wanted part_of(const Head* request, const Head* response, size_t size, size_t* start,
                    size_t* length) noexcept
