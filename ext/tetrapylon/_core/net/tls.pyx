"""TLS on the reactor's own sockets, by Python's ssl module, so that OpenSSL is always the interpreter's."""

from cpython.buffer cimport PyBUF_ND
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.unistd cimport close as close_descriptor

from tetrapylon._core.buffer cimport Buffer
from tetrapylon._core.net.hello cimport HELLO_PARTIAL, HELLO_WHOLE, asks_again, read_hello
from tetrapylon._core.reactor cimport EPOLLIN, EPOLLOUT, EPOLLRDHUP, SCRATCH, Reactor, iovec
from tetrapylon._core.stream cimport HIGH_WATER, Connection, SocketStream

from ssl import CERT_NONE, MemoryBIO, SSLCertVerificationError, SSLError, SSLWantReadError, SSLZeroReturnError

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        MSG_NOSIGNAL
    ssize_t recv(int fd, void* data, size_t n, int flags)
    ssize_t send(int fd, const void* data, size_t n, int flags)

cdef enum:
    RECORD = 16384              # plain text in one record (RFC 8446 section 5.1)
    # One read. What it holds and one record begun before fit into the reactor's scratch buffer, a record of
    # room to spare: an SSL_read that is offered a record's room leaves nothing of it behind.
    READ = 32768
    FEED = 16384                # what goes into a memory BIO at once: its buffer never shrinks
    HANDSHAKE = 22              # content types (RFC 8446 section 5.1)
    ALERT = 21
    FATAL = 2                   # RFC 8446 section 6

cdef object ALL = SCRATCH


cdef class Window:
    def __getbuffer__(self, Py_buffer* view, int flags):
        view.buf = self.data
        view.obj = self
        view.len = self.n
        view.readonly = 0
        view.itemsize = 1
        view.format = NULL
        view.ndim = 1
        view.shape = &self.n if flags & PyBUF_ND else NULL
        view.strides = NULL
        view.suboffsets = NULL
        view.internal = NULL

    cdef Window show(self, const char* data, Py_ssize_t n):
        self.data = <char*>data
        self.n = n
        return self


cdef class Tls:
    def __cinit__(self, *args, **kwargs):
        self.sealed = <char*>malloc(READ)
        if self.sealed is NULL:
            raise MemoryError()

    def __init__(self, context not None, *, str server_name=None, bytes subject_header=None):
        self.context = context
        self.server_name = server_name
        self.server_side = server_name is None
        self.subject_header = subject_header
        self.window = Window()

    def __dealloc__(self):
        free(self.sealed)


# RFC 4514 section 3 and the descriptors of RFC 4519, by OpenSSL's long names.
cdef dict ATTRIBUTES = {
    "commonName": "CN", "localityName": "L", "stateOrProvinceName": "ST", "organizationName": "O",
    "organizationalUnitName": "OU", "countryName": "C", "streetAddress": "STREET", "domainComponent": "DC",
    "userId": "UID", "surname": "SN",
}


cdef str escape(str value):
    """RFC 4514 section 2.4; all but printable ASCII as hexadecimal pairs, so that it fits a header field."""
    cdef list out = []
    cdef Py_ssize_t last = len(value) - 1
    for i, char in enumerate(value):
        if char in '"+,;<>\\' or (char == "#" and i == 0) or (char == " " and i in (0, last)):
            out.append("\\" + char)
        elif " " <= char <= "~":
            out.append(char)
        else:
            out.append("".join([f"\\{byte:02X}" for byte in char.encode("utf-8", "surrogateescape")]))
    return "".join(out)


def spell_subject(tuple names not None):
    """A subject as `getpeercert` has it -> RFC 4514 text."""
    return ",".join([
        "+".join([f"{ATTRIBUTES.get(kind, kind)}={escape(value)}" for kind, value in part])
        for part in reversed(names)
    ]).encode("ascii")


cdef int reason(error) noexcept:
    if isinstance(error, SSLCertVerificationError):
        return TLS_CERTIFICATE
    if "ALERT" in (getattr(error, "reason", None) or ""):
        return TLS_ALERT
    return TLS_PROTOCOL


cdef class TlsStream(SocketStream):
    cdef int attach(self, Reactor reactor, Connection owner, int fd, bint connecting) except -1:
        cdef Tls tls = self.tls
        try:
            self.incoming = MemoryBIO()
            self.outgoing = MemoryBIO()
            self.ssl = tls.context.wrap_bio(
                self.incoming, self.outgoing, server_side=tls.server_side, server_hostname=tls.server_name)
        except (OSError, ValueError, MemoryError):
            close_descriptor(fd)
            raise
        return SocketStream.attach(self, reactor, owner, fd, connecting)

    cdef void abort(self, bint reset) noexcept:
        if self.fd >= 0:
            SocketStream.abort(self, reset)
            self.ssl = self.incoming = self.outgoing = None

    # Handshake

    cdef void established(self) noexcept:
        self.shake()
        if self.failure:
            self.vanish(self.failure)

    cdef void shake(self) noexcept:
        """As far as what has come allows."""
        try:
            self.ssl.do_handshake()
            if self.tls.context.verify_mode != CERT_NONE and self.tls.server_side:
                certificate = self.ssl.getpeercert()
                self.subject = spell_subject(certificate["subject"]) if certificate else None
            self.shaken = True
        except SSLWantReadError:
            pass
        except (SSLError, ValueError, MemoryError) as error:
            self.failure = reason(error)
        self.ship()

    # Input

    cdef void receive(self) noexcept:
        cdef char* sealed = self.tls.sealed
        cdef bint shaken = self.shaken
        cdef ssize_t n = recv(self.fd, sealed, READ, 0)
        cdef Py_ssize_t plain
        if n < 0:
            if errno != EAGAIN and errno != EINTR:
                self.vanish(errno)
            return
        if n == 0:
            self.input_over()
            return
        if self.notified:
            return
        if self.tls.server_side and not self.greeted and not self.greet(n):
            return
        plain = self.unseal(n)
        if self.fd < 0:
            return
        if self.shaken and not shaken:
            if self.tls.server_side:
                self.owner.secured()
            else:
                self.owner.connected()
        if plain and self.fd >= 0:
            self.owner.data_received(self.reactor.scratch, plain)
        if self.fd < 0:
            return
        if self.failure:
            if self.reactor.corked is self:
                self.flush()
            self.vanish(self.failure)
        elif not plain and self.queued() > 8 * HIGH_WATER:
            self.vanish(TLS_PROTOCOL)       # it makes us answer the protocol's own messages and reads none

    cdef bint greet(self, Py_ssize_t n) noexcept:
        """May the `n` bytes read be answered? They end a ClientHello then; what of it came before is in the
        BIO already, from where OpenSSL has not read it yet."""
        cdef char* sealed = self.tls.sealed
        cdef char[7] alert = [ALERT, 3, 1, 0, 2, FATAL, 0]
        cdef int verdict
        if self.hello is None:
            if sealed[0] != HANDSHAKE and not self.retried:
                self.vanish(TLS_ABSENT)
                return False
            self.hello = Buffer()
        try:
            self.hello.append(sealed, n)
            verdict = read_hello(self.hello.data + self.hello.start, self.hello.end - self.hello.start)
            if verdict == HELLO_PARTIAL:
                self.incoming.write(self.tls.window.show(sealed, n))
                return False
        except MemoryError:
            self.vanish(TLS_PROTOCOL)
            return False
        self.hello = None
        if verdict == HELLO_WHOLE:
            self.greeted = True
            return True
        alert[6] = <char>verdict
        send(self.fd, alert, sizeof(alert), MSG_NOSIGNAL)
        self.vanish(TLS_PROTOCOL)
        return False

    cdef Py_ssize_t unseal(self, Py_ssize_t n) noexcept:
        """The `n` bytes read, into the scratch buffer as plain text; how much that is."""
        cdef Window window = self.tls.window
        cdef char* at = self.tls.sealed
        cdef Py_ssize_t plain = 0, piece
        while n > 0 and not self.failure and not self.notified and self.fd >= 0:
            piece = min(n, <Py_ssize_t>FEED)
            try:
                self.incoming.write(window.show(at, piece))
            except MemoryError:
                self.failure = TLS_PROTOCOL
                break
            at += piece
            n -= piece
            if not self.shaken:
                self.shake()
            if self.shaken and not self.failure and self.fd >= 0:
                plain = self.decrypt(plain)
        return plain

    cdef Py_ssize_t decrypt(self, Py_ssize_t plain) noexcept:
        """What is in the BIO, behind the `plain` bytes of the scratch buffer; how many there are then."""
        cdef Window window = self.tls.window
        cdef char* scratch = self.reactor.scratch
        cdef Py_ssize_t n
        try:
            while self.incoming.pending:
                n = self.ssl.read(ALL, window.show(scratch + plain, SCRATCH - plain))
                if n == 0:
                    self.notified = True
                    break
                plain += n
            return plain
        except SSLWantReadError:
            pass
        except SSLZeroReturnError:
            self.notified = True            # after ours
        except (SSLError, MemoryError) as error:
            self.failure = reason(error)
        self.ship()                         # an alert, or what a key update is answered with
        return plain

    cdef void ready(self, uint32_t events) noexcept:
        SocketStream.ready(self, events)
        if self.notified and self.reading and not self.ended and self.fd >= 0:
            self.end_input()

    cdef void resume_reading(self) noexcept:
        SocketStream.resume_reading(self)
        if self.notified and not self.ended and self.fd >= 0:
            # Its end is all that is left to read, and the socket may never be readable again.
            self.reactor.modify(self, self.interest | EPOLLOUT)

    cdef void input_over(self) noexcept:
        """The connection's input is over. A client's requests have their own framing, so that it may just
        hang up; an upstream's answer may have none but its end, and who ends it then must be known."""
        if not self.shaken:
            self.vanish(TLS_PROTOCOL)
        elif not self.tls.server_side and not self.notified:
            self.vanish(TLS_TRUNCATED)
        else:
            self.end_input()

    cdef void end_input(self) noexcept:
        self.ended = True
        self.reading = False
        self.owner.eof_received()
        if self.fd >= 0:
            self.reactor.modify(self, self.interest & ~<uint32_t>(EPOLLIN | EPOLLRDHUP))

    # Output

    cdef void flush(self) noexcept:
        cdef Reactor reactor = self.reactor
        cdef iovec* piece = reactor.pieces
        cdef int left = reactor.piece_count
        cdef char* gathered = self.tls.sealed
        cdef Py_ssize_t offset = 0, n, take
        reactor.corked = None
        reactor.piece_count = 0
        reactor.arena_used = 0
        while left and self.fd >= 0 and self.shaken and not self.broken and not self.parted:
            n = <Py_ssize_t>piece.iov_len - offset
            if left == 1 or n >= RECORD:
                n = min(n, <Py_ssize_t>RECORD)
                if not self.seal(<char*>piece.iov_base + offset, n):
                    return
                offset += n
            else:
                n = 0
                while left and n < RECORD:
                    take = min(<Py_ssize_t>piece.iov_len - offset, RECORD - n)
                    memcpy(gathered + n, <char*>piece.iov_base + offset, take)
                    n += take
                    offset += take
                    if offset == <Py_ssize_t>piece.iov_len:
                        piece += 1
                        left -= 1
                        offset = 0
                if not self.seal(gathered, n):
                    return
                continue
            if offset == <Py_ssize_t>piece.iov_len:
                piece += 1
                left -= 1
                offset = 0
        if self.out is not None and not self.congested and self.out.end - self.out.start > HIGH_WATER:
            self.congested = True
            self.owner.congested()

    cdef bint seal(self, const char* data, Py_ssize_t n) noexcept:
        """One record, sent or queued; several where the client wants them smaller (RFC 6066 section 4)."""
        cdef Py_ssize_t done = 0
        try:
            while done < n:
                done += self.ssl.write(self.tls.window.show(data + done, n - done))
        except (SSLError, MemoryError):
            self.fail_output()
            return False
        self.ship()
        return True

    cdef void ship(self) noexcept:
        """Send the records that are ready, behind those that wait."""
        cdef bytes data
        cdef ssize_t sent = 0
        cdef Py_ssize_t n
        try:
            data = self.outgoing.read()
        except MemoryError:
            self.fail_output()
            return
        n = PyBytes_GET_SIZE(data)
        if n == 0 or self.broken:
            return
        if not self.shaken and self.tls.server_side and asks_again(PyBytes_AS_STRING(data), n):
            self.retried = True
            self.greeted = False
        if self.out is None:
            sent = send(self.fd, PyBytes_AS_STRING(data), n, MSG_NOSIGNAL)
            if sent < 0:
                if errno != EAGAIN and errno != EINTR:
                    self.fail_output()
                    return
                sent = 0
        if sent < n:
            self.queue(PyBytes_AS_STRING(data) + sent, n - sent)

    cdef void part(self) noexcept:
        """close_notify: what was sent is whole (RFC 8446 section 6.1)."""
        if not self.shaken or self.parted or self.broken or self.failure:
            return
        self.parted = True
        try:
            self.ssl.unwrap()
        except SSLError:
            pass            # the peer's own is not there yet, or input waits before it
        self.ship()

    cdef void shutdown(self) noexcept:
        if self.fd < 0:
            return
        if self.reactor.corked is self:
            self.flush()
        if self.fd >= 0:
            self.part()
        SocketStream.shutdown(self)

    cdef void close(self) noexcept:
        if self.fd < 0:
            return
        if self.reactor.corked is self:
            self.flush()
        if self.fd >= 0:
            self.part()
        SocketStream.close(self)


cdef TlsStream tls_stream(Tls tls):
    cdef TlsStream stream = TlsStream.__new__(TlsStream)
    stream.tls = tls
    return stream
