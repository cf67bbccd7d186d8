# The route room: which route takes a request, by path, host, headers and method.
#
# Per request: normalise the path (path.pxd), then Router.find. No Python object is made, nothing is
# allocated, and any number of threads may look up at once.

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.routing.pack cimport Key
from tetrapylon._core.routing.trie cimport Match, Span, Trie, header_lookup


cdef enum Outcome:
    FOUND = 0
    NO_ROUTE = 1         # 404
    NO_METHOD = 2        # 405, `allowed` set
    ONLY_OPTIONS = 3     # OPTIONS of a known path that no route takes itself: 204, `allowed` set


@cython.final
cdef class Route:
    cdef readonly uint64_t index
    cdef readonly str path
    cdef readonly object destination
    cdef readonly tuple methods      # of str, sorted; empty for any
    cdef readonly object host        # str, lower case, or None
    cdef readonly dict headers       # lower-case name -> value, "*" for any value
    cdef readonly object name        # str or None
    cdef readonly tuple params       # names, in the order of Match.params
    cdef readonly tuple kinds        # "int", "uuid", "str" or "path", in the same order
    cdef bytes key
    cdef uint64_t bits               # methods taken; HEAD with GET

    cdef uint32_t rank(self) except? 0


@cython.final
cdef class Freezer:
    # What a router needs while it is compiled.
    cdef Key* keys
    cdef uint32_t n
    cdef uint32_t filled
    cdef int packed
    cdef dict hosts
    cdef dict conditions
    cdef list conflicts


@cython.final
cdef class Router:
    cdef readonly list routes        # of Route, in the order added
    cdef readonly list table         # the same, in the order of the table: Match.route is an index
    cdef readonly bint frozen
    cdef Trie trie
    cdef list customs                # methods that are not in the standard set, as bytes

    # `path` is normal and without query; `host` may carry a port, any case, or be empty. `lookup` may
    # be NULL: then no header condition holds. Frozen routers only.
    cdef int find(self, const char* method, Py_ssize_t method_n, const char* host, Py_ssize_t host_n,
                  const char* path, Py_ssize_t path_n, header_lookup lookup, void* ctx, Match* out) noexcept

    # The value of `Allow` for Match.allowed: b"GET, HEAD, OPTIONS".
    cdef bytes allow(self, uint64_t allowed)

    cdef uint64_t method_bit(self, const char* method, Py_ssize_t n) noexcept

    cdef uint64_t claim_bit(self, bytes method) except 0
    cdef int fill(self, Freezer freezer) except -1
    cdef int fill_table(self, Freezer freezer) except -1
    cdef uint32_t find_conflicts(self, Freezer freezer, uint32_t low) except? 0
    cdef tuple names(self, uint64_t allowed)
    cdef int require_frozen(self) except -1
