# What a request asks for, before it is routed: target, path and Host.

from tetrapylon._core.exchange cimport Exchange, Fault


cdef bint host_is_valid(const char* host, size_t n) noexcept
cdef Fault read_target(Exchange x) noexcept
cdef bint find_header(void* exchange, const char* name, Py_ssize_t n, const char** value,
                      Py_ssize_t* value_n) noexcept           # for the routes that ask for one
cdef Fault rewrite_path(Exchange x) noexcept         # the plan's own path in place of the client's
