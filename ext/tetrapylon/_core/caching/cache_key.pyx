from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from tetrapylon._core.buffer cimport (
    DROPPED, FORWARDED, HOP, HOST, NAMED, X_FORWARDED_HOST, X_FORWARDED_PROTO, Head, Header, head_known, put,
    same_name, same_variable,
)
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.fields cimport Piece, next_part
from tetrapylon._core.limiting.key cimport KEY_ROOM, Key
from tetrapylon._core.shared.limits cimport Hash
from tetrapylon._core.shared.marks cimport Marks

from hashlib import blake2b


cdef class CacheKey:
    def __init__(self, Marks marks not None, str place not None, parts=()):
        others = [part for part in parts if not part.startswith("header:")]
        self.marks = marks
        self.zone = blake2b(place.encode(), digest_size=16).digest()
        self.others = Key(others, f"cache {place}") if others else None
        self.names = [part[7:].lower().replace("_", "-").encode("ascii") for part in parts
                      if part.startswith("header:")]
        self.by_consumer = "consumer" in others

    def __dealloc__(self):
        free(self.text)

    cdef bint write(self, Exchange x, Hash* key, uint64_t* uri) noexcept:
        """The URI, and what else an upstream may make its answer of that Vary seldom names: it cannot be put
        into what others are given, for it finds no other than its own. False: there is no memory."""
        cdef Head* head = &x.request
        cdef Header* host = head_known(head, HOST)
        cdef Header* line
        cdef char* at
        cdef char* start
        cdef uint32_t i
        cdef size_t need = 3 * <size_t>head.length + 8 * <size_t>head.count + KEY_ROOM + 64
        cdef Hash hash
        if need > self.text_size:
            at = <char*>realloc(self.text, need)
            if at is NULL:
                return False
            self.text = at
            self.text_size = need
        at = put(self.text, self.zone, 16)
        at[0] = c"s" if x.peer.tls else c"h"
        at += 1
        if host is not NULL:
            for i in range(host.value_length):
                at[i] = head.data[host.value + i]
                if c"A" <= at[i] <= c"Z":
                    at[i] |= 0x20
            at += host.value_length
        at[0] = 0
        at = put(at + 1, head.data + head.target, head.target_length)
        key[0] = self.marks.hash(self.text, at - self.text)
        uri[0] = key.bucket
        start = at
        self.uri_written = at - self.text
        if x.asked != head.target:              # a rewrite may lead several paths to one
            at[0] = 0
            at = put(at + 1, head.data + x.asked, x.asked_length)
        for i in range(head.count):
            line = &head.headers[i]
            if not line.mark & (DROPPED | HOP) and (
                    matters(head, line, x.peer.trusted) or (self.names and self.is_named(head, line))):
                at = put_field(at, head, line)
        if self.others is not None:
            at[0] = 1
            at += 1
            at += self.others.write(x, at)
        if at != start:
            hash = self.marks.hash(self.text, at - self.text)
            key[0] = hash
        self.written = at - self.text
        return True

    cdef bytes name(self):
        return blake2b(self.text[:self.written], digest_size=20).hexdigest().encode()

    cdef bytes uri_name(self):
        return blake2b(self.text[:self.uri_written], digest_size=20).hexdigest().encode()

    cdef bint is_named(self, const Head* head, const Header* line) noexcept:
        for name in self.names:
            if line.name_length == <uint32_t>len(<bytes>name) and same_variable(
                    head.data + line.name, <bytes>name, line.name_length):
                return True
        return False


cdef bint survey(const Head* head, bint* personal) noexcept:
    """Is it a request that only the origin can answer? `personal`: it says who asks, whether or not a policy
    has taken that out."""
    cdef const Header* line
    cdef const char* name
    cdef uint32_t i
    cdef bint single = False
    personal[0] = False
    for i in range(head.count):
        line = &head.headers[i]
        name = head.data + line.name
        if line.name_length == 13:
            personal[0] = personal[0] or same_name(name, b"authorization", 13)
        elif line.name_length == 8:
            single = single or same_name(name, b"if-match", 8)
        elif line.name_length == 19:
            single = single or same_name(name, b"if-unmodified-since", 19)
    return single


cdef bint matters(const Head* head, const Header* line, bint trusted) noexcept:
    """Does it look like what applications make links, redirects and choices of, unasked?"""
    cdef const char* name = head.data + line.name
    cdef uint32_t n = line.name_length
    if line.known != NAMED:             # of others, those of proxies that are not trusted are not sent on
        return trusted and line.known in (<int>X_FORWARDED_HOST, <int>X_FORWARDED_PROTO, <int>FORWARDED)
    if n < 6 or (name[0] | 0x20) != c"x":
        return n == 15 and same_variable(name, b"front-end-https", 15)
    if name[1] != c"-" and name[1] != c"_":
        return False
    return ((n > 12 and same_variable(name, b"x-forwarded-", 12))
            or (n > 11 and same_variable(name, b"x-original-", 11))
            or (n > 10 and same_variable(name, b"x-rewrite-", 10))
            or (n >= 13 and same_variable(name, b"x-http-method", 13))
            or (n >= 17 and same_variable(name, b"x-method-override", 17))
            or (n == 12 and same_variable(name, b"x-url-scheme", 12))
            or (n == 6 and same_variable(name, b"x-host", 6)))


cdef char* put_field(char* at, const Head* head, const Header* line) noexcept:
    cdef Piece rest, part
    at[0] = 2
    at = put(at + 1, head.data + line.name, line.name_length)
    at[0] = c":"
    at += 1
    if line.known != FORWARDED:
        return put(at, head.data + line.value, line.value_length)
    # Whom it is from, and which proxies it came by, is not what the answer is made of.
    rest.data = head.data + line.value
    rest.n = line.value_length
    while next_part(&rest, &part):
        if part.n > 4 and not same_name(part.data, b"for=", 4) and not same_name(part.data, b"by=", 3):
            at = put(at, part.data, part.n)
    return at
