from tetrapylon._core.message cimport Backend


cdef class LlhttpBackend(Backend):
    pass
