from tetrapylon._core.message cimport Backend


cdef class ApiBackend(Backend):
    pass
