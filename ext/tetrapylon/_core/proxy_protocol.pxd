from tetrapylon._core.exchange cimport Peer

cdef enum:
    HEADER_MAX = 4096           # bytes that a header may have, its TLVs included
    MORE_NEEDED = 0
    NO_PROXY_HEADER = -1


cdef int read_header(const unsigned char* data, size_t n, Peer peer) noexcept
