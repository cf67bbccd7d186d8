# What a line of the access log says.

cimport cython
from libc.stdint cimport uint16_t, uint64_t

from tetrapylon._core.buffer cimport Head

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
    uint64_t client_us       # and for the client; left out where it is 0
    uint64_t bytes_in        # heads included
    uint64_t bytes_out
    uint16_t status          # what the client was told; 0 if it was told nothing
    bint failed              # the gateway's own doing: logged whatever the sample
    uint64_t share           # 1 + how many of 2**53 such lines are written; 0: as many as of all others
    Text client              # address, without port
    Text consumer            # who it is from, as a policy found out
    Text method
    Text host
    Text target              # path and query as they came
    Text protocol
    Text route               # the pattern, not the path
    Text upstream            # the target that answered, or was tried last
    uint64_t resend_count    # how often it was tried again; left out where it is 0
    Text user_agent
    Text referer
    Text request_id
    Text error               # why the gateway failed or refused it
    const Head* request      # for the fields that the format asks for; NULL: none
    const Head* response


@cython.final
cdef class LineFormat:
    # One serves one log: it keeps the second's time stamp.
    cdef bint combined
    cdef list headers                # (key in JSON, name in lower case, is it secret?)
    cdef list response_headers
    cdef list names                  # of secret parameters, folded
    cdef uint64_t lengths            # bit n: some name has n characters
    cdef uint64_t second             # what `stamp` says
    cdef char[20] stamp

    cdef char* put_line(self, char* out, const AccessRecord* record, uint64_t now) noexcept
    cdef char* put_json(self, char* out, const AccessRecord* record, const Text* target, const Text* referer,
                        uint64_t now) noexcept
    cdef char* put_combined(self, char* out, const AccessRecord* record, const Text* target,
                            const Text* referer, uint64_t now) noexcept
    cdef char* put_drops(self, char* out, uint64_t dropped, uint64_t now) noexcept
    cdef Text redact(self, const Text* text, char* scratch) noexcept
    cdef bint is_secret(self, const char* name, size_t n) noexcept
    cdef char* put_time(self, char* out, uint64_t now) noexcept
    cdef char* put_day(self, char* out, uint64_t now) noexcept


cdef Text text_of(bytes value) noexcept
