# cython: auto_pickle=False
import os
import sys
import time

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, strlen
from libc.time cimport gmtime_r, time_t, tm

cdef extern from "<string.h>" nogil:
    void* memrchr(const void* s, int c, size_t n)

cdef extern from "<sys/stat.h>" nogil:
    cdef struct stat_t "stat":
        unsigned int st_mode
    int fstat(int descriptor, stat_t* status)
    bint S_ISREG(unsigned int mode)
    bint S_ISSOCK(unsigned int mode)

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int descriptor, const void* data, size_t n, int flags)
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL

cdef extern from "<poll.h>" nogil:
    cdef struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* descriptors, unsigned long n, int timeout)
    enum:
        POLLOUT

cdef extern from "<time.h>" nogil:
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec* now)
    enum:
        CLOCK_REALTIME

cdef extern from "<unistd.h>" nogil:
    ssize_t write_to "write" (int descriptor, const void* data, size_t n)
    int close_descriptor "close" (int descriptor)

cdef enum Kind:
    REGULAR              # written at once
    SOCKET               # sent without waiting
    STREAM               # a pipe or terminal, by a descriptor of our own that does not wait
    SHARED               # the same where we could not get one: asked first

cdef enum:
    BATCH = 64 * 1024    # a write to a file; and what a flush moves at most into anything else
    FIRST_SIZE = 64 * 1024
    MARK = 32 * 1024     # flushed at once beyond it

# Encoded bytes that each value may take, quotes aside. With keys and numbers their sum stays below LINE_MAX.
cdef enum:
    MAX_CLIENT = 64
    MAX_METHOD = 32
    MAX_HOST = 256
    MAX_TARGET = 1280
    MAX_PROTOCOL = 16
    MAX_ROUTE = 256
    MAX_UPSTREAM = 160
    MAX_USER_AGENT = 512
    MAX_REFERER = 640
    MAX_REQUEST_ID = 128
    MAX_ERROR = 160

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


cdef inline char* put_number(char* out, uint64_t number) noexcept nogil:
    cdef char[20] digits
    cdef int i = 20
    while number >= 100:
        i -= 2
        memcpy(&digits[i], &PAIRS[2 * (number % 100)], 2)
        number //= 100
    if number >= 10:
        i -= 2
        memcpy(&digits[i], &PAIRS[2 * number], 2)
    else:
        i -= 1
        digits[i] = <char> (c"0" + number)
    memcpy(out, &digits[i], 20 - i)
    return out + 20 - i


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


cdef inline uint64_t wall_clock() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <uint64_t> now.tv_sec * 1000000000 + <uint64_t> now.tv_nsec


@cython.final
cdef class AccessLog:
    def __cinit__(self, target, *, sample=1.0, limit=1 << 20, on_error=None):
        self.descriptor = -1
        if not 0 <= sample <= 1:
            raise ValueError(f"sample: expected a share from 0 to 1, got {sample!r}")
        if limit < 2 * LINE_MAX:
            raise ValueError(f"limit: expected at least {2 * LINE_MAX} bytes, got {limit!r}")
        self.limit = limit
        self.on_error = on_error
        self.threshold = <uint64_t> (sample * <double> (1 << 53))
        self.random = wall_clock() ^ <uint64_t> os.getpid() << 40 | 1
        self.size = min(<size_t> FIRST_SIZE, self.limit)
        self.buffer = <char*> malloc(self.size)
        if self.buffer == NULL:
            raise MemoryError
        if target == "-":
            target = 1
        if isinstance(target, int):
            self.adopt(target)
        else:
            self.path = os.fspath(target)
            self.open_path()

    def __dealloc__(self):
        if self.owned:
            close_descriptor(self.descriptor)
        free(self.buffer)

    cdef int open_path(self) except -1:
        # O_NONBLOCK: a FIFO without a reader is an error here, and a slow one no wait later.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
                             | os.O_NOCTTY, 0o644)
        cdef stat_t status
        if self.owned:
            close_descriptor(self.descriptor)
        self.descriptor = descriptor
        self.owned = True
        fstat(self.descriptor, &status)
        self.kind = REGULAR if S_ISREG(status.st_mode) else STREAM
        return 0

    # The descriptor's flags are shared with whoever else has it, so they are left alone.
    cdef int adopt(self, int descriptor) except -1:
        cdef stat_t status
        if fstat(descriptor, &status) < 0:
            raise OSError(errno, f"access log: {os.strerror(errno)}: descriptor {descriptor}")
        self.descriptor = descriptor
        if S_ISREG(status.st_mode):
            self.kind = REGULAR
        elif S_ISSOCK(status.st_mode):
            self.kind = SOCKET
        else:
            self.kind = SHARED
            try:
                self.descriptor = os.open(f"/proc/self/fd/{descriptor}",
                                          os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
            except OSError:
                return 0
            self.kind = STREAM
            self.owned = True
        return 0

    @property
    def pending(self):
        return self.end - self.start

    # Makes room for a line. False when there is none.
    cdef bint room(self) noexcept:
        cdef size_t size
        cdef char* grown
        if self.size - self.end < LINE_MAX and self.start >= self.size // 4:
            memmove(self.buffer, self.buffer + self.start, self.end - self.start)
            self.end -= self.start
            self.start = 0
        if self.size - self.end < LINE_MAX and self.size < self.limit:
            size = min(self.size * 2, self.limit)
            grown = <char*> realloc(self.buffer, size)
            if grown != NULL:
                self.buffer = grown
                self.size = size
        return self.size - self.end >= LINE_MAX

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

    cdef void write(self, const AccessRecord* record) noexcept:
        cdef char* out
        if record.status < 500 and not record.failed:
            # xorshift64* (Vigna, 2014), the upper 53 bits.
            self.random ^= self.random >> 12
            self.random ^= self.random << 25
            self.random ^= self.random >> 27
            if (self.random * 0x2545F4914F6CDD1DULL) >> 11 >= self.threshold:
                return
        if self.untold:
            self.tell_drops()
        if self.untold or self.descriptor < 0 or not self.room():
            self.dropped += 1
            self.untold += 1
            return
        out = self.buffer + self.end
        out = put(out, b'{"time":"')
        out = self.put_time(out, record.time_ns or wall_clock())
        out = put(out, b'"')
        out = put_field(out, b',"client":', &record.client, MAX_CLIENT)
        out = put_field(out, b',"method":', &record.method, MAX_METHOD)
        out = put_field(out, b',"host":', &record.host, MAX_HOST)
        out = put_field(out, b',"target":', &record.target, MAX_TARGET)
        out = put_field(out, b',"protocol":', &record.protocol, MAX_PROTOCOL)
        out = put_field(out, b',"route":', &record.route, MAX_ROUTE)
        out = put_number(put(out, b',"status":'), record.status)
        out = put_number(put(out, b',"bytes_in":'), record.bytes_in)
        out = put_number(put(out, b',"bytes_out":'), record.bytes_out)
        out = put_number(put(out, b',"duration_us":'), record.duration_us)
        out = put_number(put(out, b',"gateway_us":'), record.gateway_us)
        out = put_number(put(out, b',"upstream_us":'), record.upstream_us)
        out = put_field(out, b',"upstream":', &record.upstream, MAX_UPSTREAM)
        out = put_field(out, b',"user_agent":', &record.user_agent, MAX_USER_AGENT)
        out = put_field(out, b',"referer":', &record.referer, MAX_REFERER)
        out = put_field(out, b',"request_id":', &record.request_id, MAX_REQUEST_ID)
        out = put_field(out, b',"error":', &record.error, MAX_ERROR)
        out = put(out, b"}\n")
        self.end = out - self.buffer
        self.lines += 1
        if self.end - self.start > MARK and not self.stuck:
            self.flush()

    # A line that says how many are missing before it; once the log flows again, so that it is not one of
    # many.
    cdef void tell_drops(self) noexcept:
        cdef char* out
        if self.stuck or self.end - self.start > self.limit // 2 or not self.room():
            return
        out = put(self.buffer + self.end, b'{"time":"')
        out = self.put_time(out, wall_clock())
        out = put_number(put(out, b'","dropped":'), self.untold)
        out = put(out, b"}\n")
        self.end = out - self.buffer
        self.untold = 0

    cpdef void flush(self) noexcept:
        cdef size_t moved = 0
        cdef ssize_t n
        cdef char* smaller
        self.stuck = False
        while self.descriptor >= 0:
            if self.untold:
                self.tell_drops()
            if self.start == self.end or moved >= BATCH and self.kind != REGULAR:
                break
            n = self.write_some()
            if n == -EINTR:
                continue
            if n < 0:
                self.stuck = True
                if n != -EAGAIN:
                    self.fail(<int> -n)
                break
            self.failing = False
            self.start += n
            moved += n
        if self.start == self.end:
            self.start = self.end = 0
            if self.size > FIRST_SIZE:
                smaller = <char*> realloc(self.buffer, FIRST_SIZE)
                if smaller != NULL:
                    self.buffer = smaller
                    self.size = FIRST_SIZE

    # One write of whole lines. How much of it was taken, or minus the error.
    cdef ssize_t write_some(self) noexcept:
        cdef const char* data = self.buffer + self.start
        cdef size_t n = self.end - self.start, most = BATCH if self.kind == REGULAR else LINE_MAX
        cdef const char* newline
        cdef ssize_t taken
        if n > most:
            newline = <const char*> memrchr(data, c"\n", most)
            n = newline - data + 1 if newline != NULL else most
        if self.kind == SHARED and not self.writable(0):
            return -EAGAIN
        if self.kind == SOCKET:
            taken = send(self.descriptor, data, n, MSG_DONTWAIT | MSG_NOSIGNAL)
        else:
            taken = write_to(self.descriptor, data, n)
        return taken if taken >= 0 else -errno

    cdef bint writable(self, int timeout_ms) noexcept nogil:
        cdef pollfd ready
        ready.fd = self.descriptor
        ready.events = POLLOUT
        ready.revents = 0
        return poll(&ready, 1, timeout_ms) != 0

    # Told once, until a write succeeds again.
    cdef void fail(self, int error) noexcept:
        self.errors += 1
        if self.failing:
            return
        self.failing = True
        problem = OSError(error, os.strerror(error), self.path or "standard output")
        if self.on_error is not None:
            self.on_error(problem)
        elif sys.stderr is not None:
            sys.stderr.write(f"access log: {problem}; lines are kept while there is room, then dropped\n")

    def log(self, *, status=200, time_ns=0, duration_us=0, gateway_us=0, upstream_us=0, bytes_in=0,
            bytes_out=0, failed=False, client=None, method=None, host=None, target=None, protocol=None,
            route=None, upstream=None, user_agent=None, referer=None, request_id=None, error=None):
        cdef AccessRecord record
        cdef list texts = [
            text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
            for text in (client, method, host, target, protocol, route, upstream, user_agent, referer,
                         request_id, error)
        ]
        record.status = status
        record.time_ns = time_ns
        record.duration_us = duration_us
        record.gateway_us = gateway_us
        record.upstream_us = upstream_us
        record.bytes_in = bytes_in
        record.bytes_out = bytes_out
        record.failed = failed
        record.client = text_of(texts[0])
        record.method = text_of(texts[1])
        record.host = text_of(texts[2])
        record.target = text_of(texts[3])
        record.protocol = text_of(texts[4])
        record.route = text_of(texts[5])
        record.upstream = text_of(texts[6])
        record.user_agent = text_of(texts[7])
        record.referer = text_of(texts[8])
        record.request_id = text_of(texts[9])
        record.error = text_of(texts[10])
        self.write(&record)

    def reopen(self):
        if self.path is None or self.descriptor < 0:
            return
        self.flush()
        self.open_path()

    def close(self, wait=1.0):
        cdef double deadline = time.monotonic() + wait, left
        cdef int timeout_ms
        cdef size_t i
        if self.descriptor < 0:
            return
        while True:
            self.flush()
            left = deadline - time.monotonic()
            if self.start == self.end or self.failing or left <= 0:
                break
            timeout_ms = min(50, <int> (left * 1000) + 1)
            with nogil:
                self.writable(timeout_ms)
        for i in range(self.start, self.end):
            self.dropped += self.buffer[i] == c"\n"
        self.start = self.end = 0
        if self.owned:
            close_descriptor(self.descriptor)
        self.owned = False
        self.descriptor = -1


cdef Text text_of(bytes value) noexcept:
    """Borrowed from `value`."""
    cdef Text text
    text.data = NULL
    text.length = 0
    if value is not None:
        text.data = PyBytes_AS_STRING(value)
        text.length = PyBytes_GET_SIZE(value)
    return text
