cdef enum:
    RATES = 1 << 18         # keys: 4 MiB, of which what is used takes memory
    QUOTAS = 1 << 16
    IN_FLIGHT = 1 << 14     # keys, for each worker
    SPARE = 8               # workers that drain while their successors serve


cdef class Amounts:
    def __cinit__(self, Py_ssize_t workers):
        self.rates = Table(RATES)
        self.quotas = Table(QUOTAS)
        self.flights = Flights(2 * workers + SPARE, IN_FLIGHT)
