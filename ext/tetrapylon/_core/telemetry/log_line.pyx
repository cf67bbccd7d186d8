"""What a line of the access log says: one JSON object, or the combined format; secrets left out."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, strlen
from libc.time cimport gmtime_r, time_t, tm

from tetrapylon._core.buffer cimport Head, Header, put_number, same_name

# Encoded bytes that each value may take, quotes aside. With keys and numbers their sum stays below LINE_MAX.
cdef enum:
    MAX_CLIENT = 64
    MAX_METHOD = 32
    MAX_HOST = 256
    MAX_TARGET = 1024
    MAX_PROTOCOL = 16
    MAX_ROUTE = 256
    MAX_UPSTREAM = 160
    MAX_USER_AGENT = 512
    MAX_REFERER = 640
    MAX_REQUEST_ID = 128
    MAX_ERROR = 160
    MAX_CONSUMER = 200
    MAX_HEADER = 256
    LONGEST_NAME = 64        # of a query parameter that can be secret
    SCRATCH = 2048           # a redacted target or referer, beyond what is shown of either

cdef uint8_t[256] SAFE       # ASCII that stands for itself in a JSON string and does nothing to a terminal
cdef char[201] PAIRS         # "00" to "99"


cdef int fill_tables() except -1:
    cdef int c
    for c in range(256):
        SAFE[c] = 0x20 <= c < 0x7F and c != c"\"" and c != c"\\"
    for c in range(100):
        PAIRS[2 * c] = c"0" + c // 10
        PAIRS[2 * c + 1] = c"0" + c % 10
    return 0

fill_tables()


# ---- encoding

cdef inline char* put(char* out, const char* text) noexcept nogil:
    cdef size_t n = strlen(text)
    memcpy(out, text, n)
    return out + n


cdef inline char* put_escape(char* out, uint8_t c) noexcept nogil:
    cdef const char* digits = b"0123456789abcdef"
    cdef char short_form = 0
    if c == c"\"" or c == c"\\":
        short_form = c
    elif c == c"\n":
        short_form = c"n"
    elif c == c"\r":
        short_form = c"r"
    elif c == c"\t":
        short_form = c"t"
    out[0] = c"\\"
    if short_form:
        out[1] = short_form
        return out + 2
    out[1] = c"u"
    out[2] = out[3] = c"0"
    out[4] = digits[c >> 4]
    out[5] = digits[c & 15]
    return out + 6


# Length of the UTF-8 sequence at `s` (RFC 3629 4), or minus the length of what is wrong there: the longest
# start of a sequence, or one byte (Unicode 3.9, "substitution of maximal subparts").
cdef inline int sequence(const uint8_t* s, size_t n) noexcept nogil:
    cdef uint8_t low = 0x80, high = 0xBF
    cdef int length, i
    if 0xC2 <= s[0] <= 0xDF:
        length = 2
    elif 0xE0 <= s[0] <= 0xEF:
        length = 3
        low = 0xA0 if s[0] == 0xE0 else 0x80
        high = 0x9F if s[0] == 0xED else 0xBF
    elif 0xF0 <= s[0] <= 0xF4:
        length = 4
        low = 0x90 if s[0] == 0xF0 else 0x80
        high = 0x8F if s[0] == 0xF4 else 0xBF
    else:
        return -1
    for i in range(1, length):
        if <size_t> i == n or s[i] < low or s[i] > high:
            return -i
        low = 0x80
        high = 0xBF
    return length


# True when each of the eight bytes stands for itself. Bytes with a high bit may hide others, and are not
# safe anyway.
cdef inline bint all_safe(uint64_t word) noexcept nogil:
    cdef uint64_t ones = 0x0101010101010101ULL
    return not ((word | (word - ones * 0x20) | ((word ^ ones * c"\"") - ones) | ((word ^ ones * c"\\") - ones)
                 | ((word ^ ones * 0x7F) - ones)) & ones * 0x80)


# `text` as a JSON string, of at most `limit` bytes between the quotes.
cdef char* put_string(char* out, const Text* text, size_t limit) noexcept nogil:
    cdef const uint8_t* s = <const uint8_t*> text.data
    cdef const uint8_t* stop = s + text.length
    cdef char* last
    cdef uint64_t word = 0
    cdef int n
    out[0] = c"\""
    out += 1
    # Room for the longest unit, and for the mark of what is cut.
    last = out + limit - 9
    while s < stop and out <= last:
        if stop - s >= 8:
            memcpy(&word, s, 8)
            if out < last and all_safe(word):
                memcpy(out, &word, 8)
                out += 8
                s += 8
                continue
        if SAFE[s[0]]:
            out[0] = <char> s[0]
            out += 1
            s += 1
        elif s[0] < 0x80:
            out = put_escape(out, s[0])
            s += 1
        else:
            n = sequence(s, stop - s)
            if n < 0:
                out = put(out, b"\xef\xbf\xbd")
                s -= n
            elif s[0] == 0xC2 and s[1] < 0xA0:
                out = put_escape(out, s[1])
                s += 2
            else:
                memcpy(out, s, n)
                out += n
                s += n
    if s < stop:
        out = put(out, b"\xe2\x80\xa6")
    out[0] = c"\""
    return out + 1


cdef inline char* put_field(char* out, const char* key, const Text* text, size_t limit) noexcept nogil:
    return out if text.data == NULL else put_string(put(out, key), text, limit)


cdef inline char* put_escaped(char* out, const Text* text, size_t limit) noexcept nogil:
    """A field of the combined format: controls, quotes and what is no ASCII as \\xHH, as nginx does."""
    cdef const char* digits = b"0123456789ABCDEF"
    cdef size_t i
    cdef char* last = out + limit - 4
    cdef uint8_t c
    for i in range(text.length):
        if out > last:
            break
        c = <uint8_t> text.data[i]
        if SAFE[c]:
            out[0] = <char> c
            out += 1
        else:
            out[0] = c"\\"
            out[1] = c"x"
            out[2] = digits[c >> 4]
            out[3] = digits[c & 15]
            out += 4
    return out


cdef inline char* put_or_dash(char* out, const Text* text, size_t limit) noexcept nogil:
    return put_escaped(out, text, limit) if text.length else put(out, b"-")


# ---- what is secret

cdef inline int hex_value(char c) noexcept nogil:
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 0x20
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef size_t fold_name(const char* s, size_t n, char* out) noexcept nogil:
    """A parameter's name without escapes, in lower case, `-` as `_`; 0: too long for a secret's."""
    cdef size_t i = 0, length = 0
    cdef int high, low
    cdef char c
    while i < n:
        c = s[i]
        if c == c"%" and i + 2 < n:
            high = hex_value(s[i + 1])
            low = hex_value(s[i + 2])
            if high >= 0 and low >= 0:
                c = <char> (high * 16 + low)
                i += 2
        if c"A" <= c <= c"Z":
            c |= 0x20
        elif c == c"-":
            c = c"_"
        if length == LONGEST_NAME:
            return 0
        out[length] = c
        length += 1
        i += 1
    return length


@cython.final
cdef class LineFormat:
    def __cinit__(self, str style="json", *, headers=(), response_headers=(), secret_headers=(),
                  secret_parameters=()):
        if style not in ("json", "combined"):
            raise ValueError(f"style: expected json or combined, got {style!r}")
        self.combined = style == "combined"
        hidden = {name.lower() for name in secret_headers}
        self.headers = [field(name, hidden) for name in headers]
        self.response_headers = [field(name, hidden) for name in response_headers]
        self.names = sorted({folded(name) for name in secret_parameters})
        for name in self.names:
            if not 0 < len(name) < LONGEST_NAME:
                raise ValueError(f"secret_parameters: {name!r} has no or too many characters")
            self.lengths |= 1ULL << len(name)

    # At most LINE_MAX bytes, the last one a newline.
    cdef char* put_line(self, char* out, const AccessRecord* record, uint64_t now) noexcept:
        cdef char[SCRATCH] target_scratch
        cdef char[SCRATCH] referer_scratch
        cdef Text target = self.redact(&record.target, target_scratch)
        cdef Text referer = self.redact(&record.referer, referer_scratch)
        if self.combined:
            return self.put_combined(out, record, &target, &referer, now)
        return self.put_json(out, record, &target, &referer, now)

    cdef char* put_json(self, char* out, const AccessRecord* record, const Text* target, const Text* referer,
                        uint64_t now) noexcept:
        cdef char* last = out + LINE_MAX
        out = put(out, b'{"time":"')
        out = self.put_time(out, now)
        out = put(out, b'"')
        out = put_field(out, b',"client":', &record.client, MAX_CLIENT)
        out = put_field(out, b',"consumer":', &record.consumer, MAX_CONSUMER)
        out = put_field(out, b',"method":', &record.method, MAX_METHOD)
        out = put_field(out, b',"host":', &record.host, MAX_HOST)
        out = put_field(out, b',"target":', target, MAX_TARGET)
        out = put_field(out, b',"protocol":', &record.protocol, MAX_PROTOCOL)
        out = put_field(out, b',"route":', &record.route, MAX_ROUTE)
        out = put_number(put(out, b',"status":'), record.status)
        out = put_number(put(out, b',"bytes_in":'), record.bytes_in)
        out = put_number(put(out, b',"bytes_out":'), record.bytes_out)
        out = put_number(put(out, b',"duration_us":'), record.duration_us)
        out = put_number(put(out, b',"gateway_us":'), record.gateway_us)
        out = put_number(put(out, b',"upstream_us":'), record.upstream_us)
        if record.client_us:
            out = put_number(put(out, b',"client_us":'), record.client_us)
        out = put_field(out, b',"upstream":', &record.upstream, MAX_UPSTREAM)
        out = put_field(out, b',"user_agent":', &record.user_agent, MAX_USER_AGENT)
        out = put_field(out, b',"referer":', referer, MAX_REFERER)
        out = put_field(out, b',"request_id":', &record.request_id, MAX_REQUEST_ID)
        out = put_field(out, b',"error":', &record.error, MAX_ERROR)
        if self.headers and record.request is not NULL:
            out = put_headers(out, last, b',"headers":{', self.headers, record.request)
        if self.response_headers and record.response is not NULL:
            out = put_headers(out, last, b',"response_headers":{', self.response_headers, record.response)
        return put(out, b"}\n")

    # host ident user [time] "request" status bytes "referer" "user agent", as Apache and nginx call combined.
    cdef char* put_combined(self, char* out, const AccessRecord* record, const Text* target,
                            const Text* referer, uint64_t now) noexcept:
        out = put_or_dash(out, &record.client, MAX_CLIENT)
        out = put(out, b" - ")
        out = put_or_dash(out, &record.consumer, MAX_CONSUMER)
        out = put(out, b" [")
        out = self.put_day(out, now)
        out = put(out, b'] "')
        out = put_or_dash(out, &record.method, MAX_METHOD)
        out = put(out, b" ")
        out = put_or_dash(out, target, MAX_TARGET)
        out = put(out, b" ")
        out = put_or_dash(out, &record.protocol, MAX_PROTOCOL)
        out = put_number(put(out, b'" '), record.status)
        out = put_number(put(out, b" "), record.bytes_out)
        out = put(out, b' "')
        out = put_or_dash(out, referer, MAX_REFERER)
        out = put(out, b'" "')
        out = put_or_dash(out, &record.user_agent, MAX_USER_AGENT)
        return put(out, b'"\n')

    # The line that stands for so many that were dropped; NULL where the format has none.
    cdef char* put_drops(self, char* out, uint64_t dropped, uint64_t now) noexcept:
        if self.combined:
            return NULL
        out = put(out, b'{"time":"')
        out = self.put_time(out, now)
        out = put_number(put(out, b'","dropped":'), dropped)
        return put(out, b"}\n")

    # A target or referer without the values of secret parameters; as it is, if it has none.
    cdef Text redact(self, const Text* text, char* scratch) noexcept:
        cdef Text shown = text[0]
        cdef const char* end = text.data + text.length
        cdef const char* at
        cdef const char* stop
        cdef const char* equals
        cdef const char* copied = text.data
        cdef char* out = scratch
        if text.data is NULL or not self.lengths:
            return shown
        at = <const char*> memchr(text.data, c"?", text.length)
        if at is NULL:
            return shown
        at += 1
        while at < end:
            stop = at
            equals = NULL
            while stop < end and stop[0] != c"&" and stop[0] != c";" and stop[0] != c"#":
                if stop[0] == c"=" and equals is NULL:
                    equals = stop
                stop += 1
            if equals is not NULL and equals + 1 < stop and self.is_secret(at, equals - at):
                out = put_part(out, scratch, copied, equals + 1)
                out = put_part(out, scratch, MASK, NULL)
                copied = stop
            at = stop + 1
        if copied == text.data:
            return shown
        out = put_part(out, scratch, copied, end)
        shown.data = scratch
        shown.length = out - scratch
        return shown

    cdef bint is_secret(self, const char* name, size_t n) noexcept:
        cdef char[LONGEST_NAME] plain
        cdef size_t length = fold_name(name, n, plain)
        if not length or length >= LONGEST_NAME or not self.lengths >> length & 1:
            return False
        for each in self.names:
            if <size_t> len(<bytes> each) == length and is_same(plain, <bytes> each, length):
                return True
        return False

    # RFC 3339, UTC, milliseconds.
    cdef char* put_time(self, char* out, uint64_t now) noexcept:
        cdef time_t second = <time_t> (now // 1000000000)
        cdef uint64_t milliseconds = now // 1000000 % 1000
        cdef tm parts
        cdef char* stamp
        if self.second != <uint64_t> second or self.stamp[0] == 0:
            gmtime_r(&second, &parts)
            stamp = self.stamp
            memcpy(stamp, &PAIRS[2 * ((parts.tm_year + 1900) // 100)], 2)
            memcpy(stamp + 2, &PAIRS[2 * (parts.tm_year % 100)], 2)
            stamp[4] = stamp[7] = c"-"
            memcpy(stamp + 5, &PAIRS[2 * (parts.tm_mon + 1)], 2)
            memcpy(stamp + 8, &PAIRS[2 * parts.tm_mday], 2)
            stamp[10] = c"T"
            memcpy(stamp + 11, &PAIRS[2 * parts.tm_hour], 2)
            stamp[13] = stamp[16] = c":"
            memcpy(stamp + 14, &PAIRS[2 * parts.tm_min], 2)
            memcpy(stamp + 17, &PAIRS[2 * parts.tm_sec], 2)
            self.second = <uint64_t> second
        memcpy(out, self.stamp, 19)
        out[19] = c"."
        out[20] = <char> (c"0" + milliseconds // 100)
        memcpy(out + 21, &PAIRS[2 * (milliseconds % 100)], 2)
        out[23] = c"Z"
        return out + 24

    # 25/Nov/2026:20:31:20 +0000
    cdef char* put_day(self, char* out, uint64_t now) noexcept:
        cdef char[32] stamp
        self.put_time(stamp, now)
        memcpy(out, stamp + 8, 2)
        out[2] = out[6] = c"/"
        memcpy(out + 3, &MONTHS[3 * ((stamp[5] - c"0") * 10 + stamp[6] - c"0" - 1)], 3)
        memcpy(out + 7, stamp, 4)
        out[11] = c":"
        memcpy(out + 12, stamp + 11, 8)
        return put(out + 20, b" +0000")


cdef const char* MASK = b"***"
cdef const char* MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"


cdef inline bint is_same(const char* plain, bytes name, size_t n) noexcept:
    cdef const char* other = name
    cdef size_t i
    for i in range(n):
        if plain[i] != other[i]:
            return False
    return True


cdef char* put_part(char* out, char* scratch, const char* start, const char* end) noexcept nogil:
    """What fits of it, a text with its end or a C string; what does not is beyond what a line shows."""
    cdef size_t n = strlen(start) if end is NULL else end - start
    cdef size_t room = scratch + SCRATCH - out
    n = min(n, room)
    memcpy(out, start, n)
    return out + n


cdef char* put_headers(char* out, const char* last, const char* opening, list fields,
                       const Head* head) noexcept:
    """`{"X-Tenant":"acme",...`, of those that are there, as far as the line's length reaches."""
    cdef char* began = out
    cdef Text text
    cdef Header* line
    cdef uint32_t i
    cdef size_t room
    if last - out < 64:
        return out
    out = put(out, opening)
    for key, lower, hidden in fields:
        for i in range(head.count):
            line = &head.headers[i]
            if (line.name_length != <uint32_t> len(<bytes> lower)
                    or not same_name(head.data + line.name, <bytes> lower, line.name_length)):
                continue
            room = last - out
            if room < <size_t> len(<bytes> key) + 32:
                break
            text.data = head.data + line.value
            text.length = line.value_length
            if hidden:
                text.data = MASK
                text.length = 3
            out = put_string(put(out, <bytes> key), &text,
                             min(<size_t> MAX_HEADER, room - len(<bytes> key) - 8))
            out = put(out, b",")
            break
    last = out - 1
    if last[0] != c",":
        return began
    (out - 1)[0] = c"}"
    return out


cdef tuple field(str name, set hidden):
    """(its key in JSON with the colon, the name in lower case, whether its value is left out)."""
    return b'"%b":' % name.encode("ascii"), name.lower().encode("ascii"), name.lower() in hidden


cdef bytes folded(str name):
    return name.lower().replace("-", "_").encode("ascii")


cdef Text text_of(bytes value) noexcept:
    """Borrowed from `value`."""
    cdef Text text
    text.data = NULL
    text.length = 0
    if value is not None:
        text.data = PyBytes_AS_STRING(value)
        text.length = PyBytes_GET_SIZE(value)
    return text
