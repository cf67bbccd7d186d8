from tetrapylon._core.exchange cimport Peer
from tetrapylon._core.net.tls cimport Tls
from tetrapylon._core.reactor cimport DeadlineQueue, Handle, Timed
from tetrapylon._core.stages cimport Pipeline


cdef class Acceptor(Pipeline):
    # The pipeline with its listeners: which clients may connect.
    cdef list listeners
    cdef set announced                  # connections whose PROXY header is awaited
    cdef readonly Py_ssize_t connections
    cdef dict crowd                     # connections by client address, where their number is limited
    cdef DeadlineQueue* soon            # for the first bytes of a connection that is new at the end

    cdef bint full(self) noexcept
    cdef bint admit(self, Peer peer) noexcept
    cdef void part(self, Peer peer) noexcept
    cdef void accepted(self, int fd, Peer peer, Listener listener) noexcept
    cdef DeadlineQueue* first_deadline(self) noexcept
    cdef void take_queued(self) noexcept
    cdef void stop_accepting(self) noexcept


cdef class Listener(Handle):
    cdef Acceptor acceptor
    cdef object timer
    cdef bint announces                 # each connection begins with a PROXY header
    cdef Tls tls                        # None: its clients speak plain HTTP

    cdef bint accept_some(self) noexcept
    cdef void accept_one(self, int fd, const void* address) noexcept


cdef class Patience(Timed):
    cdef Announced waiting


cdef class Announced(Handle):
    # An accepted connection before its PROXY header is complete.
    cdef Listener listener
    cdef Peer peer
    cdef Patience patience
    cdef unsigned char[4096] header      # HEADER_MAX
    cdef size_t length

    cdef void leave(self) noexcept
    cdef void refuse(self) noexcept
    cdef void welcome(self) noexcept
