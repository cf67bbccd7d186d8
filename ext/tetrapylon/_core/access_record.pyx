"""What the access log is told of an exchange that is over."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset, strlen

from tetrapylon._core.buffer cimport HOST, REFERER, USER_AGENT, X_REQUEST_ID, Head, Header
from tetrapylon._core.exchange cimport BAD_VERSION, Consumer, Exchange
from tetrapylon._core.http.respond cimport fault_name
from tetrapylon._core.telemetry.log_line cimport AccessRecord, Text, text_of


cdef void fill_record(AccessRecord* record, Exchange x, uint64_t total, uint64_t gateway,
                      uint64_t upstream) noexcept:
    cdef Head* head = &x.request
    cdef Header* line
    cdef uint32_t i
    memset(record, 0, sizeof(AccessRecord))
    record.duration_us = total // 1000
    record.upstream_us = upstream // 1000
    record.client_us = (total - upstream - gateway) // 1000
    record.gateway_us = record.duration_us - record.upstream_us - record.client_us
    record.bytes_in = x.bytes_in
    record.bytes_out = x.bytes_out
    record.status = x.status
    record.request = head
    record.response = &x.response
    record.client.data = &x.client[0] if x.client_n else &x.peer.address[0]
    record.client.length = x.client_n or x.peer.address_n
    record.method.data = head.data + head.method
    record.method.length = head.method_length
    if x.asked_length:
        record.target.data = head.data + x.asked
        record.target.length = x.asked_length
    else:
        record.target.data = head.data + head.target
        record.target.length = head.target_length
    record.protocol.data = b"HTTP/1.1" if head.minor else b"HTTP/1.0"
    record.protocol.length = 8
    if x.plan is not None:
        record.share = x.plan.logged
        record.route.data = x.plan.label
        record.route.length = len(x.plan.label)
    if x.consumer is not None:
        record.consumer = text_of((<Consumer>x.consumer).label)
    if x.upstream_name is not None:
        record.upstream.data = x.upstream_name
        record.upstream.length = len(x.upstream_name)
        record.resend_count = x.resends
    if x.fault:
        record.failed = True
        record.error.data = fault_name(x.fault)
        record.error.length = strlen(record.error.data)
        if x.fault == BAD_VERSION:
            record.protocol.data = NULL         # neither of those that can be told
            record.protocol.length = 0
    elif x.reason is not None:
        record.error.data = x.reason
        record.error.length = len(x.reason)
    for i in range(head.count):
        line = &head.headers[i]
        if line.known == HOST:
            put_field(&record.host, head, line)
        elif line.known == USER_AGENT:
            put_field(&record.user_agent, head, line)
        elif line.known == REFERER:
            put_field(&record.referer, head, line)
        elif line.known == X_REQUEST_ID:
            put_field(&record.request_id, head, line)


cdef inline void put_field(Text* field, const Head* head, const Header* line) noexcept:
    field.data = head.data + line.value
    field.length = line.value_length
