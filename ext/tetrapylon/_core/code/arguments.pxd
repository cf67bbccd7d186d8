# A handler's arguments, each taken from its place in the request and made the type that it is annotated with.

from tetrapylon._core.code.surface cimport Request
from tetrapylon._core.exchange cimport Exchange


cdef enum Place:
    FROM_PATH
    FROM_QUERY
    FROM_HEADER
    FROM_COOKIE
    FROM_BODY
    FROM_REQUEST            # the Request itself


cdef enum Kind:
    AS_TEXT                 # str without constraints
    AS_INT                  # int without constraints
    AS_FLOAT
    AS_BOOL
    AS_TYPE                 # whatever else msgspec converts
    AS_BYTES                # of a body: as it came


cdef class BadArgument(Exception):
    cdef readonly int status
    cdef readonly str place
    cdef readonly str name
    cdef readonly str detail


cdef class Argument:
    cdef readonly str name
    cdef Place place
    cdef Kind kind
    cdef Py_ssize_t index       # of the path's parameter
    cdef bytes key              # in the request; of a header in lower case
    cdef str label              # how errors name it
    cdef object type
    cdef bint many              # all values of that name
    cdef bint required
    cdef object default
    cdef object factory         # makes the default, or None
    cdef object decode          # of a body: bytes -> value

    cdef object take(self, Exchange x, Request request)
    cdef object body(self, Exchange x)
    cdef object number(self, const char* text, size_t n)
    cdef object made_of(self, str text)
    cdef object made_of_many(self, list texts)
    cdef object missing(self)
