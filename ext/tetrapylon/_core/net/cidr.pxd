# Which network an address lies in: a radix tree for IPv4 and one for IPv6, in one array, never changed.

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t


cdef struct Node:
    # A prefix, and the two longer ones that begin with it. A node without a mark of its own is where two
    # networks part.
    uint64_t high           # of the address, IPv4 in its upper half
    uint64_t low
    uint32_t[2] child       # by the bit behind the prefix; 0: none
    int32_t mark            # -1: none
    uint8_t length          # of the prefix, in bits


cdef class Networks:
    cdef Node* nodes
    cdef uint32_t count
    cdef uint32_t room
    cdef uint32_t[2] roots              # of IPv4, of IPv6; 0: none

    cdef void insert(self, bint v6, uint64_t high, uint64_t low, unsigned int length, int32_t mark) noexcept
    cdef uint32_t make(self, uint64_t high, uint64_t low, unsigned int length, int32_t mark) noexcept
    cdef int32_t find(self, const char* text, size_t n) noexcept    # the mark of the longest prefix, or -1
