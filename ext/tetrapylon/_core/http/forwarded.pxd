from tetrapylon._core.exchange cimport Exchange


cdef void find_client(Exchange x, object trusts) noexcept
