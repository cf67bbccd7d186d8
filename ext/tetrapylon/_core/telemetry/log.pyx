# cython: auto_pickle=False
import os
import sys
import time

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memmove, memset

from tetrapylon._core.telemetry.counters cimport Slab
from tetrapylon._core.telemetry.log_line cimport LINE_MAX, AccessRecord, LineFormat, text_of

cdef extern from "<string.h>" nogil:
    void* memrchr(const void* s, int c, size_t n)

cdef extern from "<sys/stat.h>" nogil:
    cdef struct stat_t "stat":
        unsigned int st_mode
        unsigned long st_nlink
    int fstat(int descriptor, stat_t* status)
    bint S_ISREG(unsigned int mode)
    bint S_ISSOCK(unsigned int mode)

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void* iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    cdef struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int descriptor, const msghdr* message, int flags)
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
    DATAGRAMS            # one line each, to syslog

cdef enum:
    BATCH = 64 * 1024    # a write to a file; and what a flush moves at most into anything else
    FIRST_SIZE = 64 * 1024
    MARK = 32 * 1024     # flushed at once beyond it
    SECOND = 1000000000  # ns: a file that is gone is looked for again after so long


cdef inline uint64_t wall_clock() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <uint64_t> now.tv_sec * 1000000000 + <uint64_t> now.tv_nsec


cdef uint64_t share_of(double sample) noexcept:
    return <uint64_t> (sample * <double> (1ULL << 53))


@cython.final
cdef class AccessLog:
    def __cinit__(self, target, *, LineFormat format=None, sample=1.0, limit=1 << 20, on_error=None,
                  on_drops=None, on_recovery=None, Slab slab=None):
        self.descriptor = -1
        if not 0 <= sample <= 1:
            raise ValueError(f"sample: expected a share from 0 to 1, got {sample!r}")
        if limit < 2 * LINE_MAX:
            raise ValueError(f"limit: expected at least {2 * LINE_MAX} bytes, got {limit!r}")
        self.limit = limit
        self.format = format or LineFormat()
        self.on_error = on_error
        self.on_drops = on_drops
        self.on_recovery = on_recovery
        self.slab = slab
        self.share = share_of(sample)
        self.random = wall_clock() ^ <uint64_t> os.getpid() << 40 | 1
        self.size = min(<size_t> FIRST_SIZE, self.limit)
        self.buffer = <char*> malloc(self.size)
        if self.buffer == NULL:
            raise MemoryError
        if target == "-":
            target = 1
        if isinstance(target, int):
            self.adopt(target)
        elif hasattr(target, "prefix"):
            self.syslog = target
            self.kind = DATAGRAMS
            self.descriptor = target.open()
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
        self.gone = False
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

    cdef void write(self, const AccessRecord* record) noexcept:
        cdef uint64_t share
        cdef char* out
        if record.status < 500 and not record.failed:
            # xorshift64* (Vigna, 2014), the upper 53 bits.
            self.random ^= self.random >> 12
            self.random ^= self.random << 25
            self.random ^= self.random >> 27
            share = record.share - 1 if record.share else self.share
            if (self.random * 0x2545F4914F6CDD1DULL) >> 11 >= share:
                return
        if self.untold:
            self.tell_drops()
        if self.untold or self.descriptor < 0 or not self.room():
            self.untold += 1
            self.drop(1)
            return
        out = self.format.put_line(self.buffer + self.end, record, record.time_ns or wall_clock())
        self.end = out - self.buffer
        self.lines += 1
        if self.end - self.start > MARK and not self.stuck:
            self.flush()

    cdef void drop(self, uint64_t lines) noexcept:
        self.dropped += lines
        if self.slab is not None:
            self.slab.worker.log_drops += lines

    # A line that says how many are missing before it; once the log flows again, so that it is not one of
    # many.
    cdef void tell_drops(self) noexcept:
        cdef char* out
        if self.stuck or self.end - self.start > self.limit // 2 or not self.room():
            return
        out = self.format.put_drops(self.buffer + self.end, self.untold, wall_clock())
        if out is not NULL:
            self.end = out - self.buffer
        elif self.on_drops is not None:
            self.on_drops(self.untold)
        self.untold = 0

    # Whether the file is there, or again. A file that was removed would swallow all that is written to it.
    cdef bint present(self) noexcept:
        cdef stat_t status
        cdef uint64_t now
        if self.kind != REGULAR or self.path is None:
            return True
        if not self.gone and (fstat(self.descriptor, &status) < 0 or status.st_nlink > 0):
            return True
        now = wall_clock()
        if self.gone and self.looked <= now < self.looked + SECOND:
            return False
        self.looked = now
        self.gone = True
        try:
            self.open_path()
        except OSError as error:
            self.fail(error.errno)
            return False
        self.gone = False
        return True

    cpdef void flush(self) noexcept:
        cdef size_t moved = 0
        cdef ssize_t n
        cdef char* smaller
        self.stuck = False
        if self.start != self.end and not self.present():
            self.stuck = True
            return
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
            if self.failing:
                self.recover()
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
        if self.kind == DATAGRAMS:
            return self.send_line()
        if self.kind == SOCKET:
            taken = send(self.descriptor, data, n, MSG_DONTWAIT | MSG_NOSIGNAL)
        else:
            taken = write_to(self.descriptor, data, n)
        return taken if taken >= 0 else -errno

    # The first line, behind what syslog wants to be told of it. A daemon that was restarted has a new socket.
    cdef ssize_t send_line(self) noexcept:
        cdef const char* data = self.buffer + self.start
        cdef const char* newline = <const char*> memchr(data, c"\n", self.end - self.start)
        cdef iovec[2] parts
        cdef msghdr message
        cdef bytes prefix
        cdef ssize_t taken
        try:
            if self.failing:
                self.descriptor = self.syslog.open()
            prefix = self.syslog.prefix()
        except OSError as error:
            return -<ssize_t> error.errno
        parts[0].iov_base = PyBytes_AS_STRING(prefix)
        parts[0].iov_len = PyBytes_GET_SIZE(prefix)
        parts[1].iov_base = <void*> data
        parts[1].iov_len = newline - data
        memset(&message, 0, sizeof(message))
        message.msg_iov = parts
        message.msg_iovlen = 2
        taken = sendmsg(self.descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
        return newline - data + 1 if taken >= 0 else -errno

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
        where = self.path or ("syslog" if self.syslog is not None else "standard output")
        problem = OSError(error, os.strerror(error), where)
        if self.on_error is not None:
            self.on_error(problem)
        elif sys.stderr is not None:
            sys.stderr.write(f"access log: {problem}; lines are kept while there is room, then dropped\n")

    cdef void recover(self) noexcept:
        self.failing = False
        if self.on_recovery is not None:
            self.on_recovery()

    def log(self, *, status=200, time_ns=0, duration_us=0, gateway_us=0, upstream_us=0, client_us=0,
            resend_count=0, bytes_in=0, bytes_out=0, failed=False, client=None, consumer=None, method=None,
            host=None, target=None, protocol=None, route=None, upstream=None, user_agent=None, referer=None,
            request_id=None, error=None):
        cdef AccessRecord record
        cdef list texts = [
            text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
            for text in (client, method, host, target, protocol, route, upstream, user_agent, referer,
                         request_id, error, consumer)
        ]
        memset(&record, 0, sizeof(record))
        record.status = status
        record.time_ns = time_ns
        record.duration_us = duration_us
        record.gateway_us = gateway_us
        record.upstream_us = upstream_us
        record.client_us = client_us
        record.resend_count = resend_count
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
        record.consumer = text_of(texts[11])
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
            if self.buffer[i] == c"\n":
                self.drop(1)
        self.start = self.end = 0
        if self.owned:
            close_descriptor(self.descriptor)
        if self.syslog is not None:
            self.syslog.close()
        self.owned = False
        self.descriptor = -1
