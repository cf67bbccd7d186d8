# Packing sorted patterns into a trie: once a table, never for a request.

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.routing.trie cimport Trie

cdef enum:
    MAX_KEY = 8192

# How a pattern becomes a key: each segment is NUL and its text, or NUL and one of these. Keys sort segment
# by segment.
cdef enum Marker:
    MARK_INT = 1
    MARK_UUID = 2
    MARK_PLAIN = 3
    MARK_REST = 4

# One route, as the packer wants it.
cdef struct Key:
    const char* text         # borrowed
    uint32_t length
    uint32_t route
    uint32_t host            # id from add_host, 0 for any host
    uint32_t headers         # offset from add_headers, 0 for none
    uint32_t rank            # among routes of one pattern and host: lower goes first
    uint64_t methods
    void* destination        # borrowed

# Writes what the packer refers to: hosts ("example.com", ".example.com" for a wildcard; the n-th gets id n,
# from 1), and one route's header conditions, (name, value or None for any), giving their offset.
cdef int add_hosts(Trie* trie, list hosts) except -1
cdef uint32_t add_headers(Trie* trie, tuple conditions) except 0

# By pattern, then host, then rank, then order given.
cdef void sort(Key* keys, size_t n) noexcept nogil

# Builds the nodes from sorted keys; -1 when out of memory.
cdef int pack(Trie* trie, const Key* keys, uint32_t n) noexcept nogil
