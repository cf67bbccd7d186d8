"""A share of what comes, drawn at random."""

from libc.stdint cimport uint64_t

import os


cdef Share share_of(double share) except *:
    cdef Share made
    made.threshold = <uint64_t>(share * 4294967296.0)
    made.state = int.from_bytes(os.urandom(8), "little") | 1
    return made
