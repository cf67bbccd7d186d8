# What clients are told of the cache (RFC 9211). `name`: None to tell nothing; -1: there is no memory.

from tetrapylon._core.caching.store cimport Stored
from tetrapylon._core.exchange cimport Exchange


cdef int say_used(Exchange x, Stored stored, bytes name, const char* how, bint ttl) noexcept
cdef int say_forwarded(Exchange x, bytes name, const char* why, bint stored) noexcept
