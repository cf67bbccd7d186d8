# Responses kept in a worker's memory, found by what their requests had in common.

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.caching.freshness cimport Terms
from tetrapylon._core.exchange cimport Destination, Exchange, Sink
from tetrapylon._core.shared.limits cimport Hash
from tetrapylon._core.telemetry.counters cimport Slab


cdef class Location:
    # Of a response in the store that machines share.
    cdef bytes key                  # of its request
    cdef bytes variant              # of what the request says in the fields of Vary; None: no Vary
    cdef bytes uri
    cdef bytes mark                 # how far changes had come when it was asked for; None: it is not known
    cdef bytes id                   # of what lies there; None: nothing of ours
    cdef uint64_t checked           # monotonic, ns: when it was last seen to lie there

    cdef Location anew(self)


cdef class Stored(Destination):
    # A whole response, as it goes out again: immutable, but for its place in the store. To answer with it is
    # to copy its head and to hand out its body where it lies.
    cdef Head head                  # without hop-by-hop fields, Age and Set-Cookie; with Content-Length
    cdef bytes body
    cdef Hash key                   # of the URI, and whatever else the config tells responses apart by
    cdef uint64_t uri               # hash of the URI alone, by which it is marked as changed
    cdef bytes vary                 # names of fields (lower case, between commas); None: none
    cdef Hash variant               # of what the request said in them
    cdef bytes path                 # of the request as the client sent it, for purges
    cdef tuple tags
    cdef Terms terms
    cdef uint64_t asked             # monotonic, ns: when it was asked for at the origin
    cdef int64_t dated              # seconds since 1970
    cdef size_t cost                # bytes
    cdef bint open                  # may answer those of whom it is known who they are (RFC 9111 section 3.5)
    cdef bint kept                  # is in the store
    cdef Location place             # None: machines do not share it
    cdef bint visited               # since the hand passed
    cdef void* chained              # the next one of its bucket; owned by the store, as the next two are
    cdef void* newer
    cdef void* older

    cdef int fill(self, Exchange x, const Head* request) noexcept
    cdef void send(self, Exchange x) noexcept


@cython.final
cdef class Sending(Sink):
    # A large body on its way: as much as the client takes.
    cdef Stored stored
    cdef size_t at
    cdef size_t end_at
    cdef bint paused
    cdef bint busy

    cdef void go(self, Exchange x) noexcept


@cython.final
cdef class Store:
    # Bounded in bytes; what goes first is chosen by SIEVE (Zhang et al., NSDI 2024): on the web it keeps more
    # that is asked again than LRU does, one visit does not save an object, and a hit writes one byte.
    cdef readonly str name
    cdef readonly size_t room
    cdef readonly size_t used
    cdef readonly Py_ssize_t count
    cdef Slab slab                      # keeps these words of this worker's
    cdef uint64_t* bytes_now
    cdef uint64_t* objects_now
    cdef uint64_t* evicted
    cdef uint64_t purged                # monotonic, ns: what was asked for before comes too late
    cdef size_t told                    # of `used`, and of `count`, what the words say
    cdef Py_ssize_t told_count
    cdef object __weakref__
    cdef public object shared           # SharedAnswers; None: machines share nothing of this
    cdef public object beyond           # is called with each response of the origin's that is put here
    cdef void** buckets
    cdef size_t mask
    cdef void* newest
    cdef void* oldest
    cdef void* hand
    cdef uint64_t[2] seed
    cdef char* scratch
    cdef size_t scratch_size

    cdef bint variant_of(self, const Head* request, bytes vary, Hash* variant) noexcept
    cdef char* put_items(self, char* at, const Head* request, const char* name, size_t n) noexcept
    cdef Stored find(self, const Hash* key, const Head* request, uint64_t changed)
    cdef void put(self, Stored stored) except *
    cdef void take(self, Stored stored) except *    # the same, of what comes from beyond
    cdef bint reserve(self, size_t n) noexcept      # for an object that is on its way; False: no room
    cdef void give_back(self, size_t n) noexcept
    cdef void remove(self, Stored stored) noexcept
    cdef void tell(self) noexcept
    cdef bint evict(self) noexcept
    cdef void grow(self) noexcept


cdef bytes names_in_vary(const Head* response)          # None: no Vary; b"*": whatever is asked, it varies
