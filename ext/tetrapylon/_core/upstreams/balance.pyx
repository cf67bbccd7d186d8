"""How a target is picked: one class a strategy."""

from libc.math cimport ceil, log
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from tetrapylon._core.buffer cimport Head, Header, head_add, head_find, same_name
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.upstreams.target cimport Target

import os

cdef uint64_t state = 0
cdef int state_of = 0           # the process that drew it: those who share an ancestor must not draw alike


cdef uint64_t draw() noexcept:
    """splitmix64 (Steele, Lea and Flood, 2014)."""
    global state, state_of
    if not state_of:
        state = int.from_bytes(os.urandom(8), "little")
        state_of = 1
    state += 0x9E3779B97F4A7C15ULL
    return mix(state)


def _forked():
    global state_of
    state_of = 0


os.register_at_fork(after_in_child=_forked)


cdef inline uint64_t mix(uint64_t z) noexcept nogil:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
    return z ^ (z >> 31)


cdef double chance() noexcept:
    return <double>(draw() >> 11) * (1.0 / 9007199254740992.0)


cdef uint64_t hash_bytes(const char* data, size_t n) noexcept nogil:
    """FNV-1a, mixed: good enough to spread keys, not to resist those who choose them."""
    cdef uint64_t hash = 0xCBF29CE484222325ULL
    cdef size_t i
    for i in range(n):
        hash = (hash ^ <unsigned char>data[i]) * 0x100000001B3ULL
    return mix(hash)


cdef class Balancer:
    cdef Target pick(self, list targets, Exchange x):
        return <Target>targets[0]

    cdef void answered(self, Target target, Exchange x) noexcept:
        pass

    cdef Balancer again(self):
        return type(self)()

    def choose(self, list targets not None):
        """As for a request that says nothing of itself. Tests count with it."""
        return self.pick(targets, None)


cdef class RoundRobin(Balancer):
    cdef Target pick(self, list targets, Exchange x):
        """Smooth weighted round robin: over one cycle each target has exactly its weight, evenly spread."""
        cdef Target target
        cdef Target best = None
        cdef int64_t total = 0
        for item in targets:
            target = <Target>item
            target.credit += target.share
            total += target.share
            if best is None or target.credit > best.credit:
                best = target
        best.credit -= total
        return best


cdef class LeastRequests(Balancer):
    cdef Target pick(self, list targets, Exchange x):
        """The fewest requests under way for its weight; of equals the next in turn."""
        cdef Py_ssize_t n = len(targets)
        cdef Py_ssize_t at
        cdef Target target, best = None
        self.turn = (self.turn + 1) % n
        at = self.turn
        for _ in range(n):
            target = <Target>targets[at]
            at += 1
            if at == n:
                at = 0
            if best is None or (target.active + 1) * best.share < (best.active + 1) * target.share:
                best = target
        return best


cdef class RandomTwo(Balancer):
    cdef Target pick(self, list targets, Exchange x):
        """Two by chance, and of these the one with fewer requests under way for its weight."""
        cdef Py_ssize_t n = len(targets)
        cdef uint64_t random = draw()
        cdef Py_ssize_t one = <Py_ssize_t>((random >> 32) % <uint64_t>n)
        cdef Py_ssize_t other
        cdef Target a = <Target>targets[one]
        cdef Target b
        if n == 1:
            return a
        other = <Py_ssize_t>((random & 0xFFFFFFFF) % <uint64_t>(n - 1))
        if other >= one:
            other += 1
        b = <Target>targets[other]
        return a if (a.active + 1) * b.share <= (b.active + 1) * a.share else b


cdef class ConsistentHash(Balancer):
    def __init__(self, str key not None, double bound=0.0):
        """`key` as `read_key` takes it. `bound` is how many times its share a target takes at most."""
        kind, self.name = read_key(key)
        self.kind = kind
        self.bound = bound

    cdef Balancer again(self):
        cdef ConsistentHash other = ConsistentHash.__new__(ConsistentHash)
        other.kind = self.kind
        other.name = self.name
        other.bound = self.bound
        return other

    cdef Target pick(self, list targets, Exchange x):
        cdef const char* value = NULL
        cdef size_t n = 0
        if x is not None and find_key(x, self.kind, self.name, &value, &n):
            return self.best(targets, hash_bytes(value, n))
        return self.best(targets, draw())

    def place(self, list targets not None, bytes key not None):
        """Where a key leads to."""
        return self.best(targets, hash_bytes(key, len(key)))

    cdef Target best(self, list targets, uint64_t key):
        cdef Target target, best = None
        cdef double score, highest = 0.0
        cdef int64_t total = 0, active = 1
        cdef double most
        if self.bound > 0:
            for item in targets:
                total += (<Target>item).share
                active += (<Target>item).active
        for item in targets:
            target = <Target>item
            if self.bound > 0:
                most = ceil(self.bound * active * target.share / total)
                if target.active >= most:
                    continue
            # -w / ln(u) of a uniform u: the chance to be the highest is proportional to w.
            score = -<double>target.share / log(
                (<double>(mix(key ^ target.key) >> 11) + 0.5) * (1.0 / 9007199254740992.0))
            if best is None or score > highest:
                best = target
                highest = score
        return best if best is not None else <Target>targets[0]


cdef class Sticky(Balancer):
    def __init__(self, Balancer first not None, str cookie not None,
                 str attributes not None="Path=/; HttpOnly"):
        self.first = first
        self.cookie = cookie.encode("ascii")
        self.attributes = attributes.encode("ascii")

    cdef Balancer again(self):
        cdef Sticky other = Sticky.__new__(Sticky)
        other.first = self.first.again()
        other.cookie = self.cookie
        other.attributes = self.attributes
        return other

    cdef Target pick(self, list targets, Exchange x):
        cdef const char* value = NULL
        cdef size_t n = 0
        cdef bytes token
        if x is not None and find_cookie(x, self.cookie, &value, &n):
            for item in targets:
                token = (<Target>item).token
                if (token is not None and n == <size_t>len(token)
                        and memcmp(value, <const char*>token, n) == 0):
                    return <Target>item
        return self.first.pick(targets, x)

    cdef void answered(self, Target target, Exchange x) noexcept:
        """Tell the client its target, unless it knows."""
        cdef const char* value = NULL
        cdef size_t n = 0
        cdef bytes line
        if (find_cookie(x, self.cookie, &value, &n) and n == <size_t>len(target.token)
                and memcmp(value, <const char*>target.token, n) == 0):
            return
        line = self.cookie + b"=" + target.token + b"; " + self.attributes
        head_add(&x.response, b"Set-Cookie", 10, line, len(line), 0)


# What a request is known by

KINDS = {"header": BY_HEADER, "cookie": BY_COOKIE, "query": BY_QUERY}


cpdef tuple read_key(str text):
    """`client`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`. Raises ValueError for anything else."""
    if text == "client":
        return BY_ADDRESS, b""
    if text == "path":
        return BY_PATH, b""
    kind, _, name = text.partition(":")
    if kind not in KINDS or not name or not name.isascii() or not name.isprintable():
        raise ValueError(f"{text!r} is no key; expected client, path, header:NAME, cookie:NAME or query:NAME")
    return KINDS[kind], (name.lower() if kind == "header" else name).encode()


cdef bint find_key(Exchange x, KeyKind kind, bytes name, const char** value, size_t* n) noexcept:
    cdef Head* head = &x.request
    cdef Header* line
    if kind == BY_HEADER:
        line = head_find(head, name, len(name))
        if line is NULL:
            return False
        value[0] = head.data + line.value
        n[0] = line.value_length
        return True
    if kind == BY_COOKIE:
        return find_cookie(x, name, value, n)
    if kind == BY_PATH:
        value[0] = head.data + x.asked
        n[0] = x.path_length
        return True
    if kind == BY_QUERY:
        return find_query(x, name, value, n)
    if x.client_n:
        value[0] = x.client
        n[0] = x.client_n
    else:
        value[0] = x.peer.address
        n[0] = x.peer.address_n
    return True


cdef bint find_cookie(Exchange x, bytes name, const char** value, size_t* n) noexcept:
    """RFC 6265 section 4.2.1: pairs with `; ` between them, in one field or, as HTTP/2 has it, in several."""
    cdef Head* head = &x.request
    cdef Header* line
    cdef const char* at
    cdef const char* end
    cdef const char* stop
    cdef size_t length = len(name)
    cdef uint32_t i
    for i in range(head.count):
        line = &head.headers[i]
        if line.name_length != 6 or not same_name(head.data + line.name, b"cookie", 6):
            continue
        at = head.data + line.value
        end = at + line.value_length
        while at < end:
            while at < end and (at[0] == c" " or at[0] == c";"):
                at += 1
            stop = <const char*>memchr(at, c";", end - at) if at < end else NULL
            if stop is NULL:
                stop = end
            if (<size_t>(stop - at) > length and at[length] == c"="
                    and memcmp(at, <const char*>name, length) == 0):
                value[0] = at + length + 1
                n[0] = stop - value[0]
                return True
            at = stop
    return False


cdef bint find_query(Exchange x, bytes name, const char** value, size_t* n) noexcept:
    cdef Head* head = &x.request
    cdef const char* at = head.data + x.asked + x.path_length
    cdef const char* end = head.data + x.asked + x.asked_length
    cdef const char* stop
    cdef size_t length = len(name)
    while at < end:
        at += 1                         # the ? or &
        stop = <const char*>memchr(at, c"&", end - at) if at < end else NULL
        if stop is NULL:
            stop = end
        if (<size_t>(stop - at) > length and at[length] == c"="
                and memcmp(at, <const char*>name, length) == 0):
            value[0] = at + length + 1
            n[0] = stop - value[0]
            return True
        at = stop
    return False
