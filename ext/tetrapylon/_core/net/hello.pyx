"""What a ClientHello (RFC 8446 section 4.1.2) is refused for before OpenSSL reads it.

The ssl module goes on without ALPN where no protocol is shared, and prints a traceback for a name that is not
ASCII: any stranger could fill the log.
"""

from libc.string cimport memcmp, memcpy

cdef enum:
    HELLO_MAX = 16384           # records and all; honest ones have 2 KiB at most
    RECORD_HEADER = 5
    RECORD_MAX = 16384          # RFC 8446 section 5.1
    CHANGE_CIPHER_SPEC = 20     # may come before a second ClientHello (RFC 8446 appendix D.4)
    HANDSHAKE = 22
    CLIENT_HELLO = 1
    SERVER_NAME = 0             # RFC 6066 section 3
    ALPN = 16                   # RFC 7301 section 3.1

cdef enum:                      # RFC 8446 section 6
    UNEXPECTED_MESSAGE = 10
    RECORD_OVERFLOW = 22
    DECODE_ERROR = 50
    UNRECOGNIZED_NAME = 112
    NO_APPLICATION_PROTOCOL = 120

# The random of a ServerHello that is a HelloRetryRequest (RFC 8446 section 4.1.3).
cdef bytes RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


cdef struct Piece:
    const unsigned char* at
    const unsigned char* end
    bint short                  # it holds less than was asked of it


cdef Py_ssize_t number(Piece* piece, int width) noexcept:
    cdef Py_ssize_t value = 0
    if piece.end - piece.at < width:
        piece.short = True
        return 0
    while width:
        value = value << 8 | piece.at[0]
        piece.at += 1
        width -= 1
    return value


cdef Piece part(Piece* piece, int width) noexcept:
    """What a length of `width` bytes stands before."""
    cdef Piece found
    cdef Py_ssize_t n = number(piece, width)
    if piece.end - piece.at < n:
        piece.short = True
    found.at = piece.at
    found.end = piece.at if piece.short else piece.at + n
    found.short = piece.short
    piece.at = found.end
    return found


cdef int read_hello(const char* records, Py_ssize_t n) noexcept:
    """Nothing may follow it: the client waits for our answer, as no early data was offered."""
    cdef unsigned char message[HELLO_MAX]
    cdef const unsigned char* at = <const unsigned char*>records
    cdef const unsigned char* end = at + n
    cdef Py_ssize_t got = 0, length, whole
    while end - at >= RECORD_HEADER:
        length = at[3] << 8 | at[4]
        if at[0] != HANDSHAKE and at[0] != CHANGE_CIPHER_SPEC:
            return UNEXPECTED_MESSAGE
        if length == 0 or length > RECORD_MAX:
            return DECODE_ERROR if length == 0 else RECORD_OVERFLOW
        if end - at - RECORD_HEADER < length:
            break
        at += RECORD_HEADER
        if at[-RECORD_HEADER] == HANDSHAKE:
            if got + length > HELLO_MAX:
                return RECORD_OVERFLOW
            memcpy(message + got, at, length)
            got += length
        at += length
        if got and message[0] != CLIENT_HELLO:
            return UNEXPECTED_MESSAGE
        if got >= 4:
            whole = 4 + (message[1] << 16 | message[2] << 8 | message[3])
            if got > whole or (got == whole and at < end):
                return UNEXPECTED_MESSAGE
            if got == whole:
                return judge(message + 4, message + whole)
    return HELLO_PARTIAL if n < HELLO_MAX else RECORD_OVERFLOW


cdef int judge(const unsigned char* at, const unsigned char* end) noexcept:
    cdef Piece hello, extensions, each
    cdef Py_ssize_t kind
    hello.at = at
    hello.end = end
    hello.short = False
    number(&hello, 2)                   # version
    number(&hello, 32)                  # random
    part(&hello, 1)                     # session
    part(&hello, 2)                     # ciphers
    part(&hello, 1)                     # compressions
    if hello.short:
        return DECODE_ERROR
    if hello.at == hello.end:
        return HELLO_WHOLE
    extensions = part(&hello, 2)
    while extensions.at < extensions.end:
        kind = number(&extensions, 2)
        each = part(&extensions, 2)
        if kind == SERVER_NAME and not is_ascii(each):
            return UNRECOGNIZED_NAME
        if kind == ALPN and not speaks_http(each):
            return NO_APPLICATION_PROTOCOL
    return DECODE_ERROR if hello.short or extensions.short else HELLO_WHOLE


cdef bint is_ascii(Piece name) noexcept:
    """OpenSSL takes one name only: two lengths and a kind, five bytes, are before it."""
    name.at += 5
    while name.at < name.end:
        if name.at[0] > 0x7E:
            return False
        name.at += 1
    return True


cdef bint speaks_http(Piece extension) noexcept:
    cdef Piece names = part(&extension, 2), name
    while names.at < names.end:
        name = part(&names, 1)
        if name.end - name.at == 8 and memcmp(name.at, b"http/1.1", 8) == 0:
            return True
    return False


cdef bint asks_again(const char* records, Py_ssize_t n) noexcept:
    """Do these records of ours begin with a HelloRetryRequest? It follows two headers and a version."""
    return n >= 43 and memcmp(records + 11, <const char*>RETRY, 32) == 0
