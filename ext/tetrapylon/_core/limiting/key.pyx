from libc.stdint cimport uint16_t
from libc.string cimport memchr, memcpy

from tetrapylon._core.buffer cimport Header, head_find
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.net.address cimport network_bits
from tetrapylon._core.shared.limits cimport Hash, siphash

from hashlib import blake2b

cdef enum:
    CLIENT = 1
    CONSUMER
    FIELD
    ROUTE

cdef dict KINDS = {"client": CLIENT, "consumer": CONSUMER, "route": ROUTE}
UNKEYED[0] = UNKEYED[1] = 0


cdef inline char* put_part(char* at, int kind, const char* data, size_t n) noexcept:
    """Kind, length and content: no two lists of parts are the same bytes."""
    cdef Hash hash
    cdef uint16_t length
    at[0] = <char>kind
    if n > PART:
        hash = siphash(UNKEYED, data, n)
        data = <const char*>&hash
        n = sizeof(hash)
        at[0] = <char>(kind | 0x40)
    length = <uint16_t>n
    memcpy(at + 1, &length, sizeof(length))
    memcpy(at + 3, data, n)
    return at + 3 + n


cdef class Key:
    def __cinit__(self, parts not None, str limit not None, int prefix=64):
        cdef Py_ssize_t i
        if not 1 <= len(parts) <= MAX_PARTS:
            raise ValueError(f"{len(parts)} parts of a key; expected 1 to {MAX_PARTS}")
        if not 1 <= prefix <= 128:
            raise ValueError(f"a prefix of {prefix} bits; expected 1 to 128")
        self.parts = len(parts)
        self.prefix = prefix
        self.limit = int.from_bytes(blake2b(limit.encode(), digest_size=8).digest(), "little")
        self.names = []
        for i, part in enumerate(parts):
            word, _, name = part.partition(":")
            self.kinds[i] = FIELD if word == "header" and name else KINDS[part]
            self.names.append(name.lower().encode("ascii") if name else None)

    cdef size_t write(self, Exchange x, char* out) noexcept:
        """The bytes of a request's key, at most KEY_ROOM; how many there are."""
        cdef char* at = out + 8
        cdef Py_ssize_t i
        memcpy(out, &self.limit, 8)
        for i in range(self.parts):
            if self.kinds[i] == CONSUMER and x.consumer is not None:
                at = put_part(at, CONSUMER, x.consumer.label, len(x.consumer.label))
            elif self.kinds[i] == FIELD:
                at = self.field(x, <bytes>self.names[i], at)
            elif self.kinds[i] == ROUTE:
                at = put_part(at, ROUTE, x.plan.label, len(x.plan.label))
            else:
                at = self.client(x, at)
        return at - out

    cdef char* client(self, Exchange x, char* at) noexcept:
        """An IPv6 client has a network of addresses (RFC 6177): only the network's bits tell it apart."""
        cdef const char* text = &x.client[0] if x.client_n else &x.peer.address[0]
        cdef size_t n = x.client_n or x.peer.address_n
        cdef char[16] network
        if memchr(text, c":", n) is not NULL and network_bits(text, n, self.prefix, network):
            return put_part(at, CLIENT, network, 16)
        return put_part(at, CLIENT, text, n)

    cdef char* field(self, Exchange x, bytes name, char* at) noexcept:
        """The first field of that name; those without one have a count in common."""
        cdef Header* line = head_find(&x.request, name, len(name))
        if line is NULL:
            return put_part(at, FIELD, b"", 0)
        return put_part(at, FIELD, x.request.data + line.value, line.value_length)
