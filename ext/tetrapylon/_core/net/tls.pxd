from tetrapylon._core.buffer cimport Buffer
from tetrapylon._core.stream cimport SocketStream


cdef enum TlsError:
    # What `Connection.lost` is told beyond the system's own errors, which are smaller.
    TLS_PROTOCOL = 0x10000      # the peer broke the protocol, or nothing could be agreed on
    TLS_CERTIFICATE             # its certificate was refused
    TLS_ALERT                   # it sent a fatal alert
    TLS_TRUNCATED               # an upstream's input ended without close_notify
    TLS_ABSENT                  # a client does not speak TLS at all


cdef class Window:
    # A stretch of memory, lent to the ssl module for the length of a call: no object for each read or write.
    cdef char* data
    cdef Py_ssize_t n

    cdef Window show(self, const char* data, Py_ssize_t n)


cdef class Tls:
    # What the TLS connections of one listener, or to one target, have in common.
    cdef public object context          # ssl.SSLContext for handshakes from now on
    cdef readonly bint server_side
    cdef readonly str server_name       # what the target's certificate is held to
    cdef readonly bytes subject_header  # where upstreams are told a client's subject; None: they are not
    cdef Window window
    cdef char* sealed                   # records on their way in; plain text gathered on its way out


cdef class TlsStream(SocketStream):
    # A socket that speaks TLS: an ssl.SSLObject between two memory BIOs, and the flow control of
    # SocketStream, whose queue holds records here.
    cdef Tls tls
    cdef object ssl
    cdef object incoming
    cdef object outgoing
    cdef readonly bytes subject         # of the peer's verified certificate (RFC 4514); None: none was shown
    cdef bint greeted                   # the client's hello has been judged
    cdef bint retried                   # and another was asked for (RFC 8446 section 4.1.4)
    cdef Buffer hello                   # what of it has come; None: nothing yet
    cdef bint shaken                    # the handshake is complete
    cdef bint parted                    # our close_notify is out
    cdef bint notified                  # the peer's has come
    cdef int failure                    # the TlsError that ends it

    cdef bint greet(self, Py_ssize_t n) noexcept
    cdef Py_ssize_t unseal(self, Py_ssize_t n) noexcept
    cdef Py_ssize_t decrypt(self, Py_ssize_t plain) noexcept
    cdef void shake(self) noexcept
    cdef void input_over(self) noexcept
    cdef void end_input(self) noexcept
    cdef bint seal(self, const char* data, Py_ssize_t n) noexcept
    cdef void ship(self) noexcept
    cdef void part(self) noexcept


cdef TlsStream tls_stream(Tls tls)
