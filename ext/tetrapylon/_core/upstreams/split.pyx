"""A route that leads to several upstreams: by what the request says, or by weight."""

from libc.stdint cimport uint64_t
from libc.string cimport memcmp

from tetrapylon._core.buffer cimport Header, head_find
from tetrapylon._core.exchange cimport Destination, Exchange, Plan
from tetrapylon._core.shared.moves cimport NEW, OLD, Moves, add, load
from tetrapylon._core.upstreams.balance cimport draw, find_cookie, find_key, hash_bytes, read_key


cdef class Branch:
    def __init__(self, Plan plan not None, *, int weight=0, headers=(), cookies=(), consumers=None):
        """`headers` and `cookies` are pairs of bytes, `consumers` names."""
        self.plan = plan
        self.weight = weight
        self.headers = [(name.lower(), value) for name, value in headers]
        self.cookies = list(cookies)
        self.consumers = None if consumers is None else frozenset(consumers)

    cdef bint names(self, Exchange x) noexcept:
        cdef Header* line
        cdef const char* found = NULL
        cdef size_t n = 0
        for name, value in self.headers:
            line = head_find(&x.request, <bytes>name, len(<bytes>name))
            if (line is NULL or line.value_length != <size_t>len(<bytes>value)
                    or memcmp(x.request.data + line.value, <const char*><bytes>value, len(<bytes>value))):
                return False
        for name, value in self.cookies:
            if (not find_cookie(x, <bytes>name, &found, &n) or n != <size_t>len(<bytes>value)
                    or memcmp(found, <const char*><bytes>value, n) != 0):
                return False
        return self.consumers is None or (x.consumer is not None and x.consumer.name in self.consumers)


cdef class Lot:
    def __init__(self, key=None, bytes salt not None=b""):
        """`key` as `balance.read_key` takes it: the same key goes the same way. None: by chance."""
        self.keyed = key is not None
        if key is not None:
            kind, self.key = read_key(key)
            self.kind = kind
        self.salt = salt

    cdef uint64_t number(self, Exchange x) noexcept:
        cdef const char* value = NULL
        cdef size_t n = 0
        cdef uint64_t at
        if self.keyed and find_key(x, self.kind, self.key, &value, &n):
            at = hash_bytes(value, n) ^ hash_bytes(self.salt, len(self.salt))
            return hash_bytes(<const char*>&at, sizeof(at))
        return draw()


cdef class Split(Destination):
    def __init__(self, list branches not None, Lot lot not None):
        self.named = [each for each in branches if not (<Branch?>each).weight]
        self.shared = [each for each in branches if (<Branch?>each).weight]
        if not self.shared:
            raise ValueError("the weights of a split come to nothing")
        for each in self.shared:
            self.total += (<Branch>each).weight
        self.lot = lot

    cdef Branch choose(self, Exchange x):
        cdef uint64_t at
        for each in self.named:
            if (<Branch>each).names(x):
                return <Branch>each
        at = self.lot.number(x) % self.total
        for each in self.shared:
            if at < (<Branch>each).weight:
                return <Branch>each
            at -= (<Branch>each).weight
        return <Branch>self.shared[0]

    cdef void start(self, Exchange x) noexcept:
        # From here on the exchange goes by the plan of its branch, with the timeouts of that upstream.
        x.plan = self.choose(x).plan
        x.plan.destination.start(x)


cdef class Moving(Destination):
    def __init__(self, Plan old not None, Plan new not None, Moves moves not None, str route not None,
                 Lot lot not None):
        self.old = old
        self.new = new
        self.moves = moves
        self.slot = moves.claim(route)
        self.lot = lot

    cdef void start(self, Exchange x) noexcept:
        # With a key, whoever is on the new side stays there as the share grows.
        if self.lot.number(x) >> 32 < load(&self.slot.share):
            x.plan = self.new
            add(&self.slot.sides[NEW].started, 1)
        else:
            x.plan = self.old
            add(&self.slot.sides[OLD].started, 1)
        x.plan.destination.start(x)
