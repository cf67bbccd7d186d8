from tetrapylon._core.http.message cimport Backend


cdef class LlhttpBackend(Backend):
    pass
