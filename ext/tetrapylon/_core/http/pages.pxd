# Bodies of one's own for the errors that the gateway answers with, chosen by status and Accept.

from tetrapylon._core.exchange cimport Exchange


cdef class Page:
    cdef readonly frozenset statuses     # empty: every one
    cdef readonly bytes content_type
    cdef bytes kind                      # text, of text/html
    cdef bytes subtype
    cdef bint is_json
    cdef int escape
    cdef list parts                      # bytes, and names of variables as str, in turn

    cdef bytes fill(self, Exchange x, int status, bytes title, bytes detail, bytes reason)


cdef class Pages:
    cdef tuple pages

    # The one that this client is given; None: the gateway's own problem+json.
    cdef Page choose(self, Exchange x, int status)
    cdef bint any_for(self, int status) noexcept
