"""The data plane's own call in a loop: what a line of the access log costs."""

from libc.string cimport memset

from tetrapylon._core.telemetry.log cimport AccessLog
from tetrapylon._core.telemetry.log_line cimport AccessRecord, Text


cdef Text text(bytes value) noexcept:
    cdef Text made
    made.data = <char*> value
    made.length = len(value)
    return made


def write_lines(AccessLog log, int n, bytes target, bytes user_agent):
    cdef AccessRecord record
    cdef int i
    memset(&record, 0, sizeof(record))
    record.status = 200
    record.bytes_in = 321
    record.bytes_out = 408
    record.client = text(b"203.0.113.7")
    record.method = text(b"GET")
    record.host = text(b"api.example.com")
    record.target = text(target)
    record.protocol = text(b"HTTP/1.1")
    record.route = text(b"/users/{id:int}/orders")
    record.upstream = text(b"http://10.0.0.5:9001")
    record.user_agent = text(user_agent)
    record.referer = text(b"https://www.example.com/account/orders")
    for i in range(n):
        record.duration_us = 900 + i
        record.gateway_us = 15
        record.upstream_us = 885 + i
        log.write(&record)
