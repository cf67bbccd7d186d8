# A share of what comes, drawn at random.

from libc.stdint cimport uint64_t


cdef struct Share:
    uint64_t threshold          # of 2**32: what is drawn below it belongs to the share
    uint64_t state


cdef Share share_of(double share) except *         # from 0 to 1; to be made by the process that draws


cdef inline bint falls_in(Share* share) noexcept nogil:
    # xorshift64* (Vigna, 2016): not to be guessed by accident, nor safe from those who try.
    share.state ^= share.state >> 12
    share.state ^= share.state << 25
    share.state ^= share.state >> 27
    return (share.state * <uint64_t>2685821657736338717ULL) >> 32 < share.threshold
