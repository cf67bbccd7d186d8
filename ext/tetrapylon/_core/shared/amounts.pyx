import os

cdef enum:
    RATES = 1 << 18         # keys: 4 MiB, of which what is used takes memory
    QUOTAS = 1 << 16
    NONCES = 1 << 18
    IN_FLIGHT = 1 << 14     # keys, for each worker
    SPARE = 8               # workers that drain while their successors serve
    RECORDS = 1 << 22

JOURNAL = "TETRAPYLON_RATES_JOURNAL"


cdef class Amounts:
    def __cinit__(self, Py_ssize_t workers, int rates=-1, int quotas=-1, int flights=-1,
                  int nonces=-1):
        self.rates = Table(RATES, rates, name="rates")
        self.quotas = Table(QUOTAS, quotas, name="quotas")
        self.flights = Flights(2 * workers + SPARE, IN_FLIGHT, flights)
        self.nonces = Table(NONCES, nonces, name="nonces")
        journal = os.environ.get(JOURNAL)
        if journal:
            self.rates.record(journal, RECORDS)
