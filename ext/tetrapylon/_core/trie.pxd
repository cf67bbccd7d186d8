# The compiled route table: C nodes in one arena, packed once from sorted patterns, read by any number of threads.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef enum:
    MAX_PARAMS = 16
    MAX_SEGMENTS = 64
    MAX_HOST = 255
    MAX_LABELS = 128
    MAX_KEY = 8192

# A method is one bit. The last one stands for every method that no route names.
cdef enum:
    METHOD_BITS = 63
cdef uint64_t ANY_METHOD
cdef uint64_t OTHER_METHOD

# How a pattern becomes a key: each segment is NUL and its text, or NUL and one of these. Keys sort segment by segment.
cdef enum Marker:
    MARK_INT = 1
    MARK_UUID = 2
    MARK_PLAIN = 3
    MARK_REST = 4

# Finds the first field called `name` (lower case) of the request; false when there is none.
ctypedef bint (*header_lookup)(void* ctx, const char* name, Py_ssize_t n,
                               const char** value, Py_ssize_t* value_n) noexcept

# Part of the path that was matched.
cdef struct Span:
    uint32_t start
    uint32_t length

cdef struct Match:
    void* destination        # borrowed PyObject*, alive as long as the router
    uint32_t route           # index into Router.table
    uint32_t n_params
    Span[MAX_PARAMS] params  # in the order of the pattern; the first n_params are set
    uint64_t allowed         # set on a miss: bits of the methods that would have matched

cdef struct Arena:
    char* base
    size_t used
    size_t size

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

cdef struct HostSlot:
    uint32_t tag
    uint32_t host

cdef struct Trie:
    Arena arena
    void** destinations      # borrowed, in the order of the sorted keys
    uint32_t root
    uint32_t hosts           # hash table of HostSlot; 0 when no route names a host
    uint32_t host_mask

cdef struct Query:
    const char* path         # normal, starts with "/"
    Py_ssize_t path_n
    const char* host         # as received
    Py_ssize_t host_n
    uint64_t method          # one bit
    header_lookup lookup
    void* ctx
    uint64_t allowed
    int n_hosts              # -1 until resolved
    uint32_t[MAX_LABELS] hosts

# Writes what the packer refers to: hosts ("example.com", ".example.com" for a wildcard; the n-th gets id n, from 1),
# and one route's header conditions, (name, value or None for any), giving their offset.
cdef int add_hosts(Trie* trie, list hosts) except -1
cdef uint32_t add_headers(Trie* trie, tuple conditions) except 0

# By pattern, then host, then rank, then order given.
cdef void sort(Key* keys, size_t n) noexcept nogil

# Builds the nodes from sorted keys; -1 when out of memory.
cdef int pack(Trie* trie, const Key* keys, uint32_t n) noexcept nogil

cdef void release(Trie* trie) noexcept nogil

# True when a route takes the request; fills `out` but for `allowed`, which the query collects.
cdef bint walk(const Trie* trie, Query* query, Match* out) noexcept
