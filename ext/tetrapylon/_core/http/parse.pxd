# Which backend reads messages, and parsers made by it.

from tetrapylon._core.http.message cimport Limits, Parser


cdef Parser request_parser(Limits limits)
cdef Parser response_parser(Limits limits)
