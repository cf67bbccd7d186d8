# Texts with variables of the exchange in them: header values, targets, locations, keys.

from libc.stdint cimport uint32_t

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.fields cimport Piece


cdef enum Variable:
    LITERAL = 0
    CLIENT
    CONSUMER
    REQUEST_ID
    ROUTE
    HOST_NAME               # without a port
    AUTHORITY               # with it
    SCHEME
    METHOD
    PATH                    # as the client asked for, normalised
    QUERY                   # without its question mark
    TARGET                  # path and query
    FIELD                   # of the request
    PARAMETER               # of the route's path
    GROUP                   # of a regular expression


cdef enum Context:
    TEXT = 0                # as it is
    URL                     # a path or URL, and its query from the first `?` on
    VALUE                   # within a query


cdef struct Part:
    Variable kind
    uint32_t index          # of a PARAMETER or GROUP
    const char* data        # a LITERAL; the name of a FIELD, in lower case
    size_t n


cdef class Template:
    # Compiled once; expanding it allocates only when it has never been that long.
    cdef Part* parts
    cdef size_t count
    cdef list kept          # what the parts point into
    cdef char* data         # what it came to the last time
    cdef size_t n
    cdef size_t capacity
    cdef readonly str text

    # Into data and n; False: no memory. In a URL, values are percent-encoded where they have not been yet,
    # and never say more than one path segment or query value could.
    cdef bint expand(self, Exchange x, tuple groups=*, Context context=*) noexcept
    cdef bint put(self, const char* data, size_t n) noexcept
    cdef bint put_encoded(self, const char* data, size_t n, bint in_query, bint encoded) noexcept


cdef bint is_secure(Exchange x) noexcept                # does the client speak TLS, as far as is known?
cdef Piece client_of(Exchange x) noexcept               # its address
cdef Piece host_of(Exchange x, bint port) noexcept
