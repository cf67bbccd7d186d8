"""The shared memory of everything that is counted by key."""

cimport cython

from tetrapylon._core.shared.flights cimport Flights
from tetrapylon._core.shared.limits cimport Table


@cython.final
cdef class Amounts:
    # Made before the workers are forked, so that all of them count in the same memory; it outlives each of
    # them, and each config.
    cdef readonly Table rates
    cdef readonly Table quotas
    cdef readonly Flights flights
    cdef readonly Table nonces          # once each, for as long as a signature may be shown
