# What users' own Python sees of an exchange: nothing is copied until it is asked for, and nothing is read
# once the exchange has ended, for its object serves another client by then.

from libc.stdint cimport uint32_t

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.exchange cimport Exchange


cdef class View:
    cdef Exchange x
    cdef uint32_t generation

    cdef int live(self) except -1


cdef class Headers(View):
    # The fields of one message, or, without an exchange, those of a response that is being made.
    cdef bint of_response
    cdef list own                       # (name, value) as bytes; None: the exchange's

    cdef Head* head(self) except NULL
    cdef list find(self, name)
    cdef int put(self, name, value) except -1
    cdef int drop(self, name) except -1


cdef class Query(View):
    cdef dict values                    # name -> list of str, once parsed

    cdef dict parsed(self)


cdef class Request(View):
    cdef readonly dict shared           # what the worker's lifespan provided
    cdef Headers fields
    cdef Query pairs
    cdef dict crumbs                    # cookies, once parsed


cdef class Response(View):
    cdef unsigned int code
    cdef Headers fields
    cdef object content
    cdef bint replaced                  # `body` was set on an upstream's response


cdef Request request_view(Exchange x, dict shared)
cdef Response response_view(Exchange x, bytes body)
cdef list field_lines(headers)          # as bytes, held to the rules of a new response's; raises
