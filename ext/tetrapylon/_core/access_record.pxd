from libc.stdint cimport uint64_t

from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.telemetry.log_line cimport AccessRecord


# Times in ns: all of the exchange's, the gateway's own part and the upstream's. The record borrows from `x`.
cdef void fill_record(AccessRecord* record, Exchange x, uint64_t total, uint64_t gateway,
                      uint64_t upstream) noexcept
