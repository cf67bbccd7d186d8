"""Networks: the most specific one that holds an address, whatever their number."""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        AF_INET
        AF_INET6

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)

cdef extern from *:
    int __builtin_clzll(unsigned long long) nogil
    uint64_t __builtin_bswap64(uint64_t) nogil

cdef enum:
    LONGEST_TEXT = 46       # of an address, its end included
    MAPPED = 0xFFFF         # ::ffff:0:0/96 (RFC 4291 section 2.5.5.2) in the third and fourth 32 bits


cdef inline uint64_t leading(unsigned int bits) noexcept nogil:
    """A word whose first `bits` bits are set."""
    return 0 if bits == 0 else ~<uint64_t>0 if bits >= 64 else ~(~<uint64_t>0 >> bits)


cdef inline unsigned int bit(uint64_t high, uint64_t low, unsigned int index) noexcept nogil:
    return <unsigned int>((high >> (63 - index) if index < 64 else low >> (127 - index)) & 1)


cdef inline unsigned int common(uint64_t high, uint64_t low, const Node* node) noexcept nogil:
    """How many leading bits an address and a node's have in common."""
    if high != node.high:
        return __builtin_clzll(high ^ node.high)
    if low != node.low:
        return 64 + __builtin_clzll(low ^ node.low)
    return 128


cdef bint read(const char* text, size_t n, bint* v6, uint64_t* high, uint64_t* low) noexcept nogil:
    """An address in words; False: it is none. IPv4 in IPv6's clothes is IPv4."""
    cdef char[LONGEST_TEXT] terminated
    cdef uint8_t[16] raw
    cdef uint32_t v4 = 0
    if n >= LONGEST_TEXT or memchr(text, 0, n) is not NULL:
        return False
    memcpy(terminated, text, n)
    terminated[n] = 0
    low[0] = 0
    if inet_pton(AF_INET, terminated, raw) == 1:
        memcpy(&v4, raw, 4)
        v6[0] = False
        high[0] = __builtin_bswap64(v4)
        return True
    if inet_pton(AF_INET6, terminated, raw) != 1:
        return False
    memcpy(high, raw, 8)
    memcpy(low, raw + 8, 8)
    high[0] = __builtin_bswap64(high[0])
    low[0] = __builtin_bswap64(low[0])
    v6[0] = not (high[0] == 0 and low[0] >> 32 == MAPPED)
    if not v6[0]:
        high[0] = low[0] << 32
        low[0] = 0
    return True


cdef class Networks:
    def __init__(self, networks=()):
        """`networks` are pairs of a CIDR and a mark, a number from 0. Of one listed twice the first stays.

        Raises ValueError for what is no CIDR, and MemoryError.
        """
        cdef bint v6 = False
        cdef uint64_t high = 0, low = 0
        networks = list(networks)
        self.room = <uint32_t>(2 * len(networks) + 1)       # an insertion adds two nodes at most; 0 is none
        self.nodes = <Node*>calloc(self.room, sizeof(Node))
        if self.nodes is NULL:
            raise MemoryError
        self.count = 1
        for cidr, mark in networks:
            address, slash, bits = cidr.partition("/")
            text = address.encode()
            if not read(text, len(text), &v6, &high, &low):
                raise ValueError(f"{cidr!r} is not a network; expected a CIDR such as 10.0.0.0/8")
            mapped = not v6 and ":" in address
            most = 128 if ":" in address else 32
            length = int(bits) if bits.isascii() and bits.isdigit() else -1 if slash else most
            if not 0 <= length <= most or (mapped and length < 96):
                raise ValueError(f"{cidr!r} has no prefix length of 0 to {most}")
            self.insert(v6, high, low, length - 96 if mapped else length, mark)

    def __dealloc__(self):
        free(self.nodes)

    def __len__(self):
        return sum([1 for i in range(1, self.count) if self.nodes[i].mark >= 0])

    def mark(self, str address not None):
        """The mark of the most specific network that holds the address; None: none does."""
        text = address.encode()
        cdef int32_t found = self.find(text, len(text))
        return None if found < 0 else found

    cdef uint32_t make(self, uint64_t high, uint64_t low, unsigned int length, int32_t mark) noexcept:
        cdef Node* node = &self.nodes[self.count]
        node.high = high & leading(length)
        node.low = low & leading(length - 64 if length > 64 else 0)
        node.length = <uint8_t>length
        node.mark = mark
        self.count += 1
        return self.count - 1

    cdef void insert(self, bint v6, uint64_t high, uint64_t low, unsigned int length, int32_t mark) noexcept:
        cdef uint32_t* link = &self.roots[1 if v6 else 0]
        cdef uint32_t added, old
        cdef unsigned int same
        cdef Node* node
        while link[0]:
            node = &self.nodes[link[0]]
            same = min(common(high, low, node), length, node.length)
            if same < node.length:
                old = link[0]
                if same == length:
                    added = self.make(high, low, length, mark)
                else:
                    added = self.make(high, low, same, -1)
                    self.nodes[added].child[bit(high, low, same)] = self.make(high, low, length, mark)
                self.nodes[added].child[bit(node.high, node.low, same)] = old
                link[0] = added
                return
            if same == length:
                if node.mark < 0:
                    node.mark = mark
                return
            link = &node.child[bit(high, low, same)]
        link[0] = self.make(high, low, length, mark)

    cdef int32_t find(self, const char* text, size_t n) noexcept:
        cdef bint v6 = False
        cdef uint64_t high = 0, low = 0
        cdef int32_t mark = -1
        cdef uint32_t at
        cdef unsigned int most
        cdef const Node* node
        if not read(text, n, &v6, &high, &low):
            return -1
        most = 128 if v6 else 32
        at = self.roots[1 if v6 else 0]
        while at:
            node = &self.nodes[at]
            if common(high, low, node) < node.length:
                break
            if node.mark >= 0:
                mark = node.mark
            if node.length == most:
                break
            at = node.child[bit(high, low, node.length)]
        return mark
