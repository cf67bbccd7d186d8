cdef enum:
    SPELLED = 46            # bytes that an IP address takes as text, its end included


cdef class Address:
    # A socket address, ready for connect(2).
    cdef char[128] raw
    cdef unsigned int raw_n
    cdef int family
    cdef readonly str text


cdef size_t spell(const void* raw, char* text) noexcept
cdef size_t normal(const char* text, char* out) noexcept
cdef bytes network(const char* text, size_t n)
cdef bint network_bits(const char* text, size_t n, int prefix, char* out) noexcept
