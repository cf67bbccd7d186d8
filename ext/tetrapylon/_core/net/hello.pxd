cdef enum:
    HELLO_WHOLE = 0             # and one to answer
    HELLO_PARTIAL = -1          # else the alert to refuse it with

cdef int read_hello(const char* records, Py_ssize_t n) noexcept
cdef bint asks_again(const char* records, Py_ssize_t n) noexcept
