from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from tetrapylon._core.buffer cimport Head, Header, head_add, head_append, head_length, head_reset
from tetrapylon._core.exchange cimport *
from tetrapylon._core.http.pages cimport Page, Pages
from tetrapylon._core.http.wire cimport put_http_date
from tetrapylon._core.policy cimport ANSWER, Verdict
from tetrapylon._core.telemetry.counters cimport Reject

from msgspec import json

cdef extern from "<stdio.h>" nogil:
    int snprintf(char* s, size_t n, const char* format, ...)


cdef struct Finding:
    int status
    unsigned int reject
    const char* name
    const char* error
    const char* title
    const char* detail


cdef Finding[FAULTS] verdicts


cdef void verdict(Fault fault, const char* name, int status, unsigned int reject, const char* error,
                  const char* title, const char* detail) noexcept:
    verdicts[<int>fault].name = name
    verdicts[<int>fault].status = status
    verdicts[<int>fault].reject = reject
    verdicts[<int>fault].error = error
    verdicts[<int>fault].title = title
    verdicts[<int>fault].detail = detail


memset(verdicts, 0, sizeof(verdicts))
verdict(BAD_REQUEST, b"bad_request", 400, Reject.MALFORMED, b"http_request_error", b"Bad Request",
        b"The request is malformed.")
verdict(BAD_TARGET, b"bad_target", 400, Reject.MALFORMED, b"http_request_error", b"Bad Request",
        b"The request target is not valid.")
verdict(BAD_HOST, b"bad_host", 400, Reject.MALFORMED, b"http_request_error", b"Bad Request",
        b"The Host header field is missing, repeated or not valid.")
verdict(TLS_UNEXPECTED, b"tls_unexpected", 400, Reject.TLS_UNEXPECTED, b"http_request_error", b"Bad Request",
        b"This address speaks HTTP without TLS.")
verdict(NO_SUCH_ROUTE, b"no_such_route", 404, Reject.NOT_FOUND, b"destination_not_found", b"Not Found",
        b"No route takes this path.")
verdict(NO_SUCH_METHOD, b"no_such_method", 405, Reject.METHOD, b"http_request_error",
        b"Method Not Allowed", b"The path does not take this method; see Allow.")
verdict(REQUEST_TIMEOUT, b"request_timeout", 408, Reject.HEAD_TIMEOUT, b"http_request_error",
        b"Request Timeout",
        b"The request took too long to arrive.")
verdict(BODY_TOO_LARGE, b"body_too_large", 413, Reject.BODY_TOO_LARGE, b"http_request_error",
        b"Content Too Large",
        b"The body is larger than this route takes.")
verdict(TARGET_LONG, b"target_long", 414, Reject.TARGET_TOO_LONG, b"http_request_error", b"URI Too Long",
        b"The request target is longer than this gateway takes.")
verdict(HEAD_LARGE, b"head_large", 431, Reject.HEAD_TOO_LARGE, b"http_request_error",
        b"Request Header Fields Too Large",
        b"The header fields are larger, or more, than this gateway takes.")
verdict(LOOPED, b"looped", 508, Reject.LOOP, b"proxy_loop_detected", b"Loop Detected",
        b"The request has passed this gateway before.")
verdict(DNS_FAILED, b"dns_failed", 502, Reject.UPSTREAM_CONNECT, b"dns_error", b"Bad Gateway",
        b"The upstream's name does not resolve.")
verdict(CONNECT_FAILED, b"connect_failed", 502, Reject.UPSTREAM_CONNECT, b"connection_refused",
        b"Bad Gateway",
        b"The upstream cannot be connected to.")
verdict(CONNECT_TIMEOUT, b"connect_timeout", 504, Reject.UPSTREAM_TIMEOUT, b"connection_timeout",
        b"Gateway Timeout",
        b"Connecting to the upstream took too long.")
verdict(TLS_FAILED, b"tls_failed", 502, Reject.UPSTREAM_CONNECT, b"tls_protocol_error", b"Bad Gateway",
        b"The upstream and this gateway cannot agree on TLS.")
verdict(CERTIFICATE_REFUSED, b"certificate_refused", 502, Reject.UPSTREAM_CONNECT, b"tls_certificate_error",
        b"Bad Gateway",
        b"The upstream's certificate is not valid here.")
verdict(TLS_ALERTED, b"tls_alerted", 502, Reject.UPSTREAM_CONNECT, b"tls_alert_received", b"Bad Gateway",
        b"The upstream refused the TLS connection.")
verdict(UPSTREAM_CLOSED, b"upstream_closed", 502, Reject.UPSTREAM_RESPONSE, b"connection_terminated",
        b"Bad Gateway",
        b"The upstream closed the connection before it answered.")
verdict(RESPONSE_MALFORMED, b"response_malformed", 502, Reject.UPSTREAM_RESPONSE,
        b"http_protocol_error", b"Bad Gateway",
        b"The upstream's response is malformed.")
verdict(RESPONSE_CUT, b"response_cut", 502, Reject.UPSTREAM_RESPONSE, b"http_response_incomplete",
        b"Bad Gateway",
        b"The upstream's response is incomplete.")
verdict(RESPONSE_TIMEOUT, b"response_timeout", 504, Reject.UPSTREAM_TIMEOUT, b"http_response_timeout",
        b"Gateway Timeout",
        b"The upstream took too long to answer.")
verdict(RESPONSE_STALLED, b"response_stalled", 504, Reject.UPSTREAM_TIMEOUT, b"http_response_timeout",
        b"Gateway Timeout",
        b"The upstream stopped in the middle of its answer.")
verdict(RESPONSE_LARGE, b"response_large", 502, Reject.UPSTREAM_RESPONSE, b"http_response_body_size",
        b"Bad Gateway",
        b"The upstream's response is larger than this route takes.")
verdict(NO_TARGET, b"no_target", 503, Reject.NO_TARGET, b"destination_unavailable", b"Service Unavailable",
        b"The upstream has no target that can be reached.")
verdict(QUEUE_FULL, b"queue_full", 503, Reject.POOL_FULL, b"connection_limit_reached", b"Service Unavailable",
        b"Too many requests are waiting for the upstream.")
verdict(QUEUE_TIMEOUT, b"queue_timeout", 503, Reject.POOL_FULL, b"connection_limit_reached",
        b"Service Unavailable",
        b"The request waited too long for a connection to the upstream.")
verdict(TOTAL_TIMEOUT, b"total_timeout", 504, Reject.UPSTREAM_TIMEOUT, b"http_response_timeout",
        b"Gateway Timeout",
        b"The exchange took longer than the route allows.")
verdict(CIRCUIT_OPEN, b"circuit_open", 503, Reject.CIRCUIT_OPEN, b"destination_unavailable",
        b"Service Unavailable",
        b"The upstream has failed too often; it is left alone for a while.")
verdict(SHED, b"shed", 503, Reject.SHED, b"connection_limit_reached", b"Service Unavailable",
        b"The upstream is overloaded, and other requests matter more.")
verdict(STOPPING, b"stopping", 503, Reject.DRAINING_NOW, b"destination_unavailable", b"Service Unavailable",
        b"The gateway is stopping.")
verdict(INTERNAL_FAULT, b"internal_fault", 500, Reject.INTERNAL, b"proxy_internal_error",
        b"Internal Server Error",
        b"The gateway failed.")
verdict(CLIENT_GONE, b"client_gone", 499, Reject.INTERNAL, b"", b"Client Closed Request",
        b"The client went away.")
verdict(CLIENT_STALLED, b"client_stalled", 499, Reject.INTERNAL, b"", b"Client Stalled",
        b"The client stopped reading.")


cdef int fault_status(Fault fault) noexcept:
    return verdicts[<int>fault].status


cdef unsigned int fault_reject(Fault fault) noexcept:
    return verdicts[<int>fault].reject


cdef const char* fault_name(Fault fault) noexcept:
    return verdicts[<int>fault].name


cdef const char* fault_error(Fault fault) noexcept:
    return verdicts[<int>fault].error


cdef int add_date(Head* head) except -1:
    cdef char[40] date
    cdef size_t n = put_http_date(date)
    return added(head_add(head, b"Date", 4, date, n, 0))


cdef int added(int code) except -1:
    if code < 0:
        raise MemoryError
    return 0


cdef int put_problem(Exchange x, Fault fault, bytes allow, bytes gateway) except -1:
    """Make x.response the gateway's own error, its body in it: problem+json (RFC 9457) with Proxy-Status
    (RFC 9209)."""
    cdef Finding* v = &verdicts[<int>fault]
    cdef Head* head = &x.response
    cdef char[512] body
    cdef char[160] status
    cdef int n, m
    head_reset(head)
    head.status = v.status
    if x.stages.pages is None or not put_page(x, v.status, v.title, v.detail, v.name):
        n = snprintf(body, sizeof(body), b'{"type":"about:blank","title":"%s","status":%d,"detail":"%s"}\n',
                     v.title, v.status, v.detail)
        added(head_add(head, b"Content-Type", 12, b"application/problem+json", 24, 0))
        added(head_length(head, n))
        put_body(head, body, n)
    add_date(head)
    if v.error[0]:
        m = snprintf(status, sizeof(status), b"%s; error=%s", <const char*>gateway, v.error)
        added(head_add(head, b"Proxy-Status", 12, status, m, 0))
    if v.status == 503:
        added(head_add(head, b"Retry-After", 11, b"1", 1, 0))
    if allow is not None:
        added(head_add(head, b"Allow", 5, allow, len(allow), 0))
    return 0


cdef int put_body(Head* head, const char* body, size_t n) except -1:
    """A body behind the head's own bytes, where it lasts as long as they do."""
    cdef int64_t at = head_append(head, body, n)
    added(-1 if at < 0 else 0)
    head.has_body = True
    head.target = <uint32_t>at
    head.target_length = <uint32_t>n
    return 0


cdef bint put_page(Exchange x, int status, bytes title, bytes detail, bytes reason) except -1:
    """The config's own body for this error and this client; False: it has none."""
    cdef Pages pages = x.stages.pages
    cdef Head* head = &x.response
    cdef Page page
    cdef bytes body
    if not pages.any_for(status):
        return False
    added(head_add(head, b"Vary", 4, b"Accept", 6, 0))
    page = pages.choose(x, status)
    if page is None:
        return False
    body = page.fill(x, status, title, detail, reason)
    added(head_add(head, b"Content-Type", 12, page.content_type, len(page.content_type), 0))
    added(head_length(head, len(body)))
    put_body(head, body, len(body))
    return True


cdef class Refusal(Destination):
    def __init__(self, unsigned int status, str reason not None, str title not None, str detail not None, *,
                 headers=(), str error="http_request_denied"):
        """`reason` is what the log and the counters call it; `error` the Proxy-Status error type."""
        self.status = status
        self.reason = reason.encode("ascii")
        self.title = title.encode()
        self.detail = detail.encode()
        self.error = b"error=" + error.encode("ascii")
        self.headers = list(headers)
        self.body = json.encode({
            "type": "about:blank", "title": title, "status": status, "detail": detail, "reason": reason,
        }) + b"\n"

    cdef void start(self, Exchange x) noexcept:
        x.stages.refused(x)
        self.send(x)

    cdef void send(self, Exchange x) noexcept:
        cdef Head* head = &x.response
        cdef Stages stages = x.stages
        cdef bytes proxy = (<bytes>stages.pseudonym) + b"; " + self.error
        try:
            head_reset(head)
            head.status = self.status
            if stages.pages is None or not put_page(x, self.status, self.title, self.detail, self.reason):
                added(head_add(head, b"Content-Type", 12, b"application/problem+json", 24, 0))
                added(head_length(head, len(self.body)))
                put_body(head, self.body, len(self.body))
            add_date(head)
            added(head_add(head, b"Proxy-Status", 12, proxy, len(proxy), 0))
            for name, value in self.headers:
                added(head_add(head, name, len(name), value, len(value), 0))
        except MemoryError:
            stages.fail(x, INTERNAL_FAULT)
            return
        deliver(x, NULL, head.target_length)


cdef Verdict refuse(Exchange x, Refusal refusal) noexcept:
    x.answer = refusal
    x.reason = refusal.reason
    return ANSWER


cdef int expand(list parts, Exchange x, const char* path) except -1:
    """Append a template's parts, with the parameters that the route matched in `path`."""
    cdef Head* head = &x.response
    cdef Py_ssize_t i
    for part in parts:
        if isinstance(part, bytes):
            added(-1 if head_append(head, part, len(part)) < 0 else 0)
        else:
            i = part
            added(-1 if head_append(
                head, path + x.match.params[i].start, x.match.params[i].length) < 0 else 0)
    return 0


cdef class Answer(Destination):
    def __init__(self, unsigned int status, *, headers=(), bytes body=b"", list location=None):
        self.status = status
        self.headers = list(headers)
        self.body = body
        self.location = location

    cdef void start(self, Exchange x) noexcept:
        if self.fill(x) < 0:
            x.stages.fail(x, INTERNAL_FAULT)
        else:
            deliver(x, self.body, len(self.body))

    cdef int fill(self, Exchange x) noexcept:
        cdef Head* head = &x.response
        cdef Header* line
        cdef uint32_t at
        try:
            head_reset(head)
            head.status = self.status
            for name, value in self.headers:
                added(head_add(head, name, len(name), value, len(value), 0))
            if self.location is not None:
                added(head_add(head, b"Location", 8, b"", 0, 0))
                at = head.length
                expand(self.location, x, x.request.data + x.asked)
                line = &head.headers[head.count - 1]
                line.value = at
                line.value_length = head.length - at
            if self.status != 204 and self.status != 304:
                added(head_length(head, len(self.body)))
            add_date(head)
            head.has_body = len(self.body) > 0
        except MemoryError:
            return -1
        return 0
