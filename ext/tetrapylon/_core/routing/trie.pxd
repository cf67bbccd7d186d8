# The compiled route table: C nodes in one arena, packed once from sorted patterns, read by any number of
# threads.

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef enum:
    MAX_PARAMS = 16
    MAX_SEGMENTS = 64
    MAX_HOST = 255
    MAX_LABELS = 128

# A method is one bit. The last one stands for every method that no route names.
cdef enum:
    METHOD_BITS = 63
cdef uint64_t ANY_METHOD
cdef uint64_t OTHER_METHOD

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

# Offsets count units of the arena; 0 is nothing.
cdef enum:
    UNIT = 8
    PRESENT = 0xFFFF

# A node stands where whole segments have been consumed. Routes are numbered in the order of their sorted
# keys, and a node counts from its first one: what it holds does not depend on where it stands. So equal
# subtrees are stored once (the same few resources under ten thousand services), and the part of the table
# that a request touches stays in cache.
cdef struct Link:
    uint32_t child           # a Node
    uint32_t base            # the child's first route, counted from the node's

cdef struct Node:
    Link int_child
    Link uuid_child
    Link plain_child
    Link rest_child
    uint32_t literals        # an Edge, or a hash table of Slots
    uint32_t fanout          # 0 no literal child, 1 one, else how many slots there are
    uint32_t rules           # of the routes that end here and take any host
    uint32_t hosts           # HostRules of those that name one

# The way to a literal child: one or more whole segments, each with its leading slash; the text follows.
cdef struct Edge:
    Link to
    uint32_t text_n

cdef struct Slot:
    uint32_t tag
    uint32_t edge

# What ends a pattern. Rules stand in order of precedence.
cdef struct Rule:
    uint64_t methods
    uint32_t route           # counted from the node's first
    uint32_t headers         # uint32 count, then Conditions; 0 for none
    uint32_t last
    uint32_t unused

cdef struct Condition:
    uint32_t name
    uint32_t value
    uint16_t name_n
    uint16_t value_n         # PRESENT: any value

# A table of these, sorted by host, after a uint32 count.
cdef struct HostRules:
    uint32_t host
    uint32_t rules

cdef struct Host:
    uint32_t id
    uint16_t length

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

cdef inline void* at(const Trie* trie, uint32_t offset) noexcept nogil:
    return trie.arena.base + <size_t> offset * UNIT


cdef inline uint64_t load64(const char* s) noexcept nogil:
    cdef uint64_t word = 0
    memcpy(&word, s, 8)
    return word


cdef inline uint64_t load32(const char* s) noexcept nogil:
    cdef uint32_t word = 0
    memcpy(&word, s, 4)
    return word


# Over text from the config alone: a request can choose what it asks for, never what is in a table.
cdef inline uint32_t hash_text(const char* s, Py_ssize_t n) noexcept nogil:
    cdef uint64_t h = <uint64_t> n * 0x9E3779B97F4A7C15ULL
    cdef Py_ssize_t i = 0
    if n >= 8:
        while i < n - 8:
            h = (h ^ load64(s + i)) * 0xD6E8FEB86659FD93ULL
            h ^= h >> 32
            i += 8
        h ^= load64(s + n - 8)
    elif n >= 4:
        h ^= load32(s) << 32 | load32(s + n - 4)
    elif n:
        h ^= <uint64_t> <uint8_t> s[0] << 16 | <uint64_t> <uint8_t> s[n >> 1] << 8 | <uint8_t> s[n - 1]
    h *= 0xD6E8FEB86659FD93ULL
    h ^= h >> 32
    h *= 0xD6E8FEB86659FD93ULL
    return <uint32_t> (h >> 32)


# Where in a table of `fanout` slots to look for `tag` first.
cdef inline uint32_t first_slot(uint32_t tag, uint32_t fanout) noexcept nogil:
    return <uint32_t> (<uint64_t> tag * fanout >> 32)


cdef void release(Trie* trie) noexcept nogil

# True when a route takes the request; fills `out` but for `allowed`, which the query collects.
cdef bint walk(const Trie* trie, Query* query, Match* out) noexcept
