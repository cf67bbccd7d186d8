from tetrapylon._core.http.message cimport Backend


cdef class ApiBackend(Backend):
    pass
