from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, strlen
from libc.time cimport time, time_t

from tetrapylon._core.buffer cimport (
    CONTENT_LENGTH, DATE, DROPPED, FORGED, FORWARDED, HOP, HOST, NAMED, TE, UPGRADE, VIA, X_FORWARDED_FOR,
    X_FORWARDED_HOST, X_FORWARDED_PROTO, Head, Header, head_known, known_name, put, same_name,
    same_variable,
)
from tetrapylon._core.exchange cimport Exchange, Peer
from tetrapylon._core.stream cimport Stream

cdef extern from "<time.h>" nogil:
    cdef struct tm:
        pass
    tm* gmtime_r(const time_t* t, tm* result)
    size_t strftime(char* s, size_t n, const char* format, const tm* t)

cdef extern from "<stdio.h>" nogil:
    int snprintf(char* s, size_t n, const char* format, ...)

cdef enum:
    ROOM = 1024             # for the lines the gateway adds, apart from values taken from the message


cdef class Via:
    def __init__(self, str pseudonym not None):
        self.pseudonym = pseudonym.encode("ascii")

    cdef bint seen_in(self, const Head* head) noexcept:
        """Has this message been here before?"""
        cdef const char* name = self.pseudonym
        cdef size_t n = len(self.pseudonym)
        cdef uint32_t i, j
        cdef const Header* line
        cdef const char* value
        for i in range(head.count):
            line = &head.headers[i]
            if line.known != VIA or line.value_length < n:
                continue
            value = head.data + line.value
            for j in range(line.value_length - <uint32_t>n + 1):
                if memcmp(value + j, name, n) == 0:
                    return True
        return False


cdef class Additions:
    def __init__(self, headers):
        """`headers`: pairs of name and value, in bytes."""
        self.lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        self.names = tuple(name.lower().replace(b"_", b"-") for name, _ in headers)

    cdef bint replaces(self, const Head* head, const Header* line) noexcept:
        for name in self.names:
            if (len(<bytes>name) == line.name_length
                    and same_variable(head.data + line.name, <bytes>name, line.name_length)):
                return True
        return False


cdef inline char* put_line(char* at, const Head* head, const Header* line) noexcept:
    cdef const char* name = head.data + line.name
    cdef uint32_t n = line.name_length
    if line.value == line.name + n + 2 and name[n] == c":" and name[n + 1] == c" ":
        at = put(at, name, n + 2 + line.value_length)       # as it came, in one piece
    else:
        at = put(at, name, n)
        at = put(at, b": ", 2)
        at = put(at, head.data + line.value, line.value_length)
    return put(at, b"\r\n", 2)


cdef inline char* put_bytes(char* at, bytes data) noexcept:
    return put(at, <const char*>data, len(data))


cdef bint names_trailers(const Head* head, const Header* line) noexcept:
    cdef uint32_t i
    for i in range(line.value_length - 7 if line.value_length > 7 else 0):
        if same_name(head.data + line.value + i, b"trailers", 8):
            return True
    return False


cdef char* put_forwarded(char* at, Peer peer) noexcept:
    """What this hop adds to a Forwarded that it believes (RFC 7239 sections 4 and 6)."""
    cdef bint v6 = memchr(peer.address, c":", peer.address_n) is not NULL
    at = put(at, b"Forwarded: for=", 15)
    if v6 and peer.address[0] == c"u":
        at = put(at, b"_unix", 5)
    elif v6:
        at = put(at, b'"[', 2)
        at = put(at, peer.address, peer.address_n)
        at = put(at, b']"', 2)
    else:
        at = put(at, peer.address, peer.address_n)
    return put(at, b";proto=https\r\n", 14) if peer.tls else put(at, b";proto=http\r\n", 13)


cdef size_t put_request(Exchange x, Stream stream, HostKind kind, bytes host, Via via,
                        Additions additions) noexcept:
    """The request's head, towards an upstream: HTTP/1.1, re-framed, without what is for one hop alone.

    RFC 9110 section 7.6; the X-Forwarded-* of a peer that is not trusted are replaced.
    """
    cdef Head* head = &x.request
    cdef char* start = stream.reserve(
        2 * <size_t>head.length + 4 * head.count + ROOM + len(host) + len(via.pseudonym)
        + (len(additions.lines) if additions is not None else 0))
    cdef char* at = start
    cdef Header* line
    cdef Header* upgrade = NULL
    cdef uint32_t i
    cdef bint trusted = x.peer.trusted
    cdef bint has_host = False, has_proto = False, has_forwarded_host = False, has_forwarded = False
    cdef bint te_trailers = False
    if start is NULL:
        return 0
    at = put(at, head.data + head.method, head.method_length)
    at = put(at, b" ", 1)
    at = put(at, head.data + head.target, head.target_length)
    at = put(at, b" HTTP/1.1\r\n", 11)
    for i in range(head.count):
        line = &head.headers[i]
        if line.known:
            if line.known == HOST:
                has_host = True
                if kind == FIXED:
                    at = put(at, b"Host: ", 6)
                    at = put_bytes(at, host)
                    at = put(at, b"\r\n", 2)
                    continue
            elif line.known == UPGRADE:
                upgrade = line
            elif line.known == TE:
                te_trailers = te_trailers or names_trailers(head, line)
            elif line.known == X_FORWARDED_FOR:
                continue
            elif line.known == X_FORWARDED_PROTO:
                if not trusted:
                    continue
                has_proto = True
            elif line.known == X_FORWARDED_HOST:
                if not trusted:
                    continue
                has_forwarded_host = True
            elif line.known == FORWARDED:
                if not trusted:
                    continue
                has_forwarded = True
            elif line.known == FORGED:
                continue
        if line.mark & (DROPPED | HOP):
            continue
        if additions is not None and additions.replaces(head, line):
            continue
        at = put_line(at, head, line)
    if not has_host:
        at = put(at, b"Host: ", 6)
        at = put_bytes(at, host)
        at = put(at, b"\r\n", 2)
    if head.chunked:
        at = put(at, b"Transfer-Encoding: chunked\r\n", 28)
    at = put(at, b"X-Forwarded-For: ", 17)
    if trusted:
        for i in range(head.count):
            line = &head.headers[i]
            if line.known == X_FORWARDED_FOR and line.value_length:
                at = put(at, head.data + line.value, line.value_length)
                at = put(at, b", ", 2)
    at = put(at, x.peer.address, x.peer.address_n)
    at = put(at, b"\r\n", 2)
    if not has_proto:
        at = put(at, b"X-Forwarded-Proto: ", 19)
        at = put(at, b"https\r\n", 7) if x.peer.tls else put(at, b"http\r\n", 6)
    if not has_forwarded_host and has_host:
        line = head_known(head, HOST)
        if line is not NULL:
            at = put(at, b"X-Forwarded-Host: ", 18)
            at = put(at, head.data + line.value, line.value_length)
            at = put(at, b"\r\n", 2)
    if has_forwarded:
        at = put_forwarded(at, x.peer)
    if additions is not None:
        at = put_bytes(at, additions.lines)
    at = put(at, b"Via: 1.1 ", 9) if head.minor else put(at, b"Via: 1.0 ", 9)
    at = put_bytes(at, via.pseudonym)
    at = put(at, b"\r\n", 2)
    if head.upgrade and upgrade is not NULL:
        at = put(at, b"Connection: Upgrade\r\n", 21)
        at = put_line(at, head, upgrade)
    elif te_trailers:
        at = put(at, b"Connection: TE\r\nTE: trailers\r\n", 30)
    at = put(at, b"\r\n", 2)
    stream.commit(at)
    return at - start


cdef inline char* put_status_line(char* at, const Head* head) noexcept:
    cdef const char* reason
    cdef uint32_t status = head.status
    at = put(at, b"HTTP/1.1 ", 9)
    at[0] = <char>(c"0" + status // 100)
    at[1] = <char>(c"0" + status // 10 % 10)
    at[2] = <char>(c"0" + status % 10)
    at[3] = c" "
    at += 4
    if head.reason_length:
        at = put(at, head.data + head.reason, head.reason_length)
    else:
        reason = phrase(status)
        at = put(at, reason, strlen(reason))
    return put(at, b"\r\n", 2)


cdef size_t put_response(Exchange x, Stream stream, Framing framing, bint keep_alive) noexcept:
    """The response's head, towards the client."""
    cdef Head* head = &x.response
    cdef char* start = stream.reserve(<size_t>head.length + 4 * head.count + ROOM)
    cdef char* at = start
    cdef Header* line
    cdef uint32_t i
    # RFC 9110 section 8.6: neither length nor coding where the status excludes a body.
    cdef bint lengthy = framing in (LENGTH, NO_BODY) and head.status != 204 and head.status >= 200
    cdef bint has_date = False
    if start is NULL:
        return 0
    at = put_status_line(at, head)
    for i in range(head.count):
        line = &head.headers[i]
        if line.mark & (DROPPED | HOP):
            if not (line.known == UPGRADE and head.status == 101):
                continue
        elif line.known == CONTENT_LENGTH and not lengthy:
            continue
        elif line.known == DATE:
            has_date = True
        at = put_line(at, head, line)
    if not has_date and head.status >= 200:
        # RFC 9110 section 6.6.1: whoever passes on a response without one adds it.
        at = put(at, b"Date: ", 6)
        at += put_http_date(at)
        at = put(at, b"\r\n", 2)
    if framing == CHUNKED or (framing == NO_BODY and head.chunked and lengthy and head.status != 304
                              and x.request.minor):
        at = put(at, b"Transfer-Encoding: chunked\r\n", 28)
    if head.status == 101:
        at = put(at, b"Connection: Upgrade\r\n", 21)
    elif not keep_alive:
        at = put(at, b"Connection: close\r\n", 19)
    elif not x.request.minor:
        at = put(at, b"Connection: keep-alive\r\n", 24)
    at = put(at, b"\r\n", 2)
    stream.commit(at)
    return at - start


cdef size_t put_interim(Exchange x, Stream stream) noexcept:
    """A 1xx response: a head alone."""
    cdef Head* head = &x.response
    cdef char* start = stream.reserve(<size_t>head.length + 4 * head.count + ROOM)
    cdef char* at = start
    cdef uint32_t i
    if start is NULL:
        return 0
    at = put_status_line(at, head)
    for i in range(head.count):
        # RFC 9110 section 8.6: no length, for there is no content.
        if not head.headers[i].mark & (DROPPED | HOP) and head.headers[i].known != CONTENT_LENGTH:
            at = put_line(at, head, &head.headers[i])
    at = put(at, b"\r\n", 2)
    stream.commit(at)
    return at - start


cdef size_t put_chunk(Stream stream, const char* data, size_t n) noexcept:
    cdef char* start = stream.reserve(20)
    cdef char* at = start
    cdef int shift = 60
    cdef uint64_t digit
    if start is NULL:
        return 0
    while shift and not (<uint64_t>n >> shift):
        shift -= 4
    while shift >= 0:
        digit = (<uint64_t>n >> shift) & 15
        at[0] = <char>(c"0" + digit if digit < 10 else c"a" + digit - 10)
        at += 1
        shift -= 4
    at = put(at, b"\r\n", 2)
    stream.commit(at)
    stream.write(data, n)
    stream.write(b"\r\n", 2)
    return (at - start) + n + 2


# What decides how a message is taken belongs to its head (RFC 9110 section 6.5.1); besides the known names:
cdef frozenset NOT_IN_TRAILERS = frozenset((
    b"age", b"authorization", b"cache-control", b"content-encoding", b"content-range", b"cookie", b"expires",
    b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since", b"location",
    b"max-forwards", b"proxy-authenticate", b"proxy-authorization", b"range", b"retry-after", b"set-cookie",
    b"trailer", b"vary", b"warning", b"www-authenticate",
))


cdef bint may_trail(const Head* trailers, const Header* line) noexcept:
    cdef const char* name = trailers.data + line.name
    return (not line.mark & (DROPPED | HOP)
            and known_name(name, line.name_length) in (NAMED, DATE)
            and name[:line.name_length].lower().replace(b"_", b"-") not in NOT_IN_TRAILERS)


cdef size_t put_last_chunk(Stream stream, const Head* trailers, Additions additions=None) noexcept:
    """`additions`: whose names a client's trailers may not carry either."""
    cdef size_t room = 8
    cdef const Header* line
    cdef char* start
    cdef char* at
    cdef uint32_t i
    if trailers is not NULL:
        room += <size_t>trailers.length + 4 * trailers.count
    start = at = stream.reserve(room)
    if start is NULL:
        return 0
    at = put(at, b"0\r\n", 3)
    if trailers is not NULL:
        for i in range(trailers.count):
            line = &trailers.headers[i]
            if may_trail(trailers, line) and (additions is None or not additions.replaces(trailers, line)):
                at = put_line(at, trailers, line)
    at = put(at, b"\r\n", 2)
    stream.commit(at)
    return at - start


cdef time_t date_of = -1        # the second that `date` spells
cdef char[32] date


cdef size_t put_http_date(char* at) noexcept:
    """IMF-fixdate (RFC 9110 section 5.6.7), 29 bytes."""
    global date_of
    cdef time_t now = time(NULL)
    cdef tm parts
    if now != date_of:
        gmtime_r(&now, &parts)
        strftime(date, sizeof(date), b"%a, %d %b %Y %H:%M:%S GMT", &parts)
        date_of = now
    memcpy(at, date, 29)
    return 29


cdef const char* phrase(uint32_t status) noexcept:
    """The reason phrase of a status in IANA's registry of them (RFC 9110 section 16.2); empty for others."""
    if status == 200:
        return b"OK"
    if status == 201:
        return b"Created"
    if status == 202:
        return b"Accepted"
    if status == 203:
        return b"Non-Authoritative Information"
    if status == 204:
        return b"No Content"
    if status == 205:
        return b"Reset Content"
    if status == 206:
        return b"Partial Content"
    if status == 207:
        return b"Multi-Status"
    if status == 208:
        return b"Already Reported"
    if status == 226:
        return b"IM Used"
    if status == 300:
        return b"Multiple Choices"
    if status == 301:
        return b"Moved Permanently"
    if status == 302:
        return b"Found"
    if status == 303:
        return b"See Other"
    if status == 304:
        return b"Not Modified"
    if status == 305:
        return b"Use Proxy"
    if status == 307:
        return b"Temporary Redirect"
    if status == 308:
        return b"Permanent Redirect"
    if status == 400:
        return b"Bad Request"
    if status == 401:
        return b"Unauthorized"
    if status == 402:
        return b"Payment Required"
    if status == 403:
        return b"Forbidden"
    if status == 404:
        return b"Not Found"
    if status == 405:
        return b"Method Not Allowed"
    if status == 406:
        return b"Not Acceptable"
    if status == 407:
        return b"Proxy Authentication Required"
    if status == 408:
        return b"Request Timeout"
    if status == 409:
        return b"Conflict"
    if status == 410:
        return b"Gone"
    if status == 411:
        return b"Length Required"
    if status == 412:
        return b"Precondition Failed"
    if status == 413:
        return b"Content Too Large"
    if status == 414:
        return b"URI Too Long"
    if status == 415:
        return b"Unsupported Media Type"
    if status == 416:
        return b"Range Not Satisfiable"
    if status == 417:
        return b"Expectation Failed"
    if status == 421:
        return b"Misdirected Request"
    if status == 422:
        return b"Unprocessable Content"
    if status == 423:
        return b"Locked"
    if status == 424:
        return b"Failed Dependency"
    if status == 425:
        return b"Too Early"
    if status == 426:
        return b"Upgrade Required"
    if status == 428:
        return b"Precondition Required"
    if status == 429:
        return b"Too Many Requests"
    if status == 431:
        return b"Request Header Fields Too Large"
    if status == 451:
        return b"Unavailable For Legal Reasons"
    if status == 500:
        return b"Internal Server Error"
    if status == 501:
        return b"Not Implemented"
    if status == 502:
        return b"Bad Gateway"
    if status == 503:
        return b"Service Unavailable"
    if status == 504:
        return b"Gateway Timeout"
    if status == 505:
        return b"HTTP Version Not Supported"
    if status == 506:
        return b"Variant Also Negotiates"
    if status == 507:
        return b"Insufficient Storage"
    if status == 508:
        return b"Loop Detected"
    if status == 510:
        return b"Not Extended"
    if status == 511:
        return b"Network Authentication Required"
    return b""
