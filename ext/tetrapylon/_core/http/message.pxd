from libc.stdint cimport int64_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport Head, Header

cdef enum:
    NAME_MAX = 65535        # bytes of a field name
    REQUEST_LINE = 32       # a method, HTTP/1.1 and the separators
    BLANK_MAX = 64          # bytes of empty lines before a request
    CHUNK_OVERHEAD = 16     # bytes that a chunk may spend on its framing beside twice its content


cdef enum Event:
    MORE = 0            # all bytes are consumed and nothing is complete
    HEAD                # Parser.head is filled; Parser.ended: and the message has no body
    BODY                # Parser.body, Parser.body_length: the next piece, inside the bytes given
    END                 # the message is complete
    MALFORMED           # Parser.problem says why; the connection cannot be read any further
    TARGET_TOO_LONG
    HEAD_TOO_LARGE
    OTHER_VERSION       # of HTTP than 1.0 and 1.1
    OTHER_EXPECTATION   # than 100-continue
    TRUNCATED           # at the end of input: a message was under way


cdef class Limits:
    # What one head may cost. Sizes in bytes.
    cdef readonly uint32_t head
    cdef readonly uint32_t headers
    cdef readonly uint32_t target


cdef class Parser:
    # Bytes of one direction of a connection -> events, one a call. Strict by RFC 9112.
    #
    # The caller sets `head` before the first byte of a message and calls `next` until it says MORE; each call
    # moves on by `consumed` bytes. Between messages the parser holds nothing of the last one.
    cdef Head* head
    cdef Limits limits
    cdef bint request
    cdef bint no_body           # the response answers HEAD: it has no body whatever its head says
    cdef bint ended
    cdef bint in_message        # a head has begun
    cdef bint in_body
    cdef bint to_eof            # the body ends with the connection
    cdef bint has_trailers
    cdef uint32_t start_line    # bytes before the first field; 0: not known yet
    cdef uint32_t head_seen     # bytes of the head, or the trailers, so far
    cdef uint32_t blank         # bytes of empty lines since the last message
    cdef size_t overhead        # chunk extensions and trailers, as far as content does not make up for them
    cdef size_t consumed
    cdef const char* body
    cdef size_t body_length
    cdef const char* problem
    cdef Head trailers

    cdef Event next(self, const char* data, size_t n) noexcept
    cdef Event eof(self) noexcept
    cdef int settle(self) noexcept      # head complete: classify its lines, derive its framing; -1 refuses it
    cdef void message_over(self) noexcept
    cdef void settle_trailers(self) noexcept
    cdef Event skip_blank(self, const char* data, size_t n) noexcept
    cdef Event spend(self, size_t framing, size_t content) noexcept
    cdef void begin(self) noexcept
    cdef uint32_t room(self) noexcept
    cdef Event over_limits(self) noexcept
    cdef int refuse(self, const char* why) noexcept
    cdef Event blame(self, bytes said) noexcept         # why a head is refused that begins so
    cdef int read_length(self, const char* value, uint32_t n) noexcept
    cdef void read_connection(self, Header* line, Head* named, bint* close, bint* keep,
                              bint* upgrade) noexcept


cdef class Backend:
    cdef Parser make(self, bint request, Limits limits)
