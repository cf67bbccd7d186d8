"""The PROXY protocol, versions 1 and 2: a load balancer says whose connection it passes on.

HAProxy's proxy-protocol.txt. A sender writes one header before the first byte of the connection's own.
"""

from libc.string cimport memchr, memcmp, memcpy, memset

from tetrapylon._core.exchange cimport Peer
from tetrapylon._core.net.address cimport spell

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        AF_INET
        AF_INET6

cdef extern from "<netinet/in.h>" nogil:
    cdef struct in_addr:
        pass
    cdef struct in6_addr:
        pass
    cdef struct sockaddr_in:
        unsigned short sin_family
        in_addr sin_addr
    cdef struct sockaddr_in6:
        unsigned short sin6_family
        in6_addr sin6_addr

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)

cdef enum:
    LINE_MAX = 107              # version 1, its CRLF included
    FIXED = 16                  # version 2, before the addresses

cdef const unsigned char* SIGNATURE = <const unsigned char*>b"\r\n\r\n\x00\r\nQUIT\n"


cdef int read_header(const unsigned char* data, size_t n, Peer peer) noexcept:
    """Note in `peer` whom the header names. How many bytes the header has, MORE_NEEDED or NO_PROXY_HEADER.

    A header that names nobody (LOCAL, UNKNOWN, UNSPEC) leaves `peer` as it is: its sender speaks for itself.
    """
    if memcmp(data, SIGNATURE, min(n, <size_t>12)) == 0:
        return read_binary(data, n, peer)
    if memcmp(data, b"PROXY ", min(n, <size_t>6)) == 0:
        return read_line(<const char*>data, n, peer)
    return NO_PROXY_HEADER


cdef int read_binary(const unsigned char* data, size_t n, Peer peer) noexcept:
    cdef size_t length
    cdef sockaddr_in v4
    cdef sockaddr_in6 v6
    if n < FIXED:
        return MORE_NEEDED
    length = (<size_t>data[14] << 8) | data[15]
    if data[12] not in (0x20, 0x21) or FIXED + length > HEADER_MAX:
        return NO_PROXY_HEADER
    if n < FIXED + length:
        return MORE_NEEDED
    if data[12] == 0x20 or data[13] == 0x00:            # LOCAL, UNSPEC
        return <int>(FIXED + length)
    if data[13] == 0x11 and length >= 12:               # TCP over IPv4
        memset(&v4, 0, sizeof(v4))
        v4.sin_family = AF_INET
        memcpy(&v4.sin_addr, data + FIXED, 4)
        peer.address_n = spell(&v4, peer.address)
    elif data[13] == 0x21 and length >= 36:             # TCP over IPv6
        memset(&v6, 0, sizeof(v6))
        v6.sin6_family = AF_INET6
        memcpy(&v6.sin6_addr, data + FIXED, 16)
        peer.address_n = spell(&v6, peer.address)
    elif data[13] == 0x31 and length >= 216:            # a Unix stream
        memcpy(peer.address, b"unix:", 5)
        peer.address_n = 5
    else:
        return NO_PROXY_HEADER
    return <int>(FIXED + length)


cdef int read_line(const char* data, size_t n, Peer peer) noexcept:
    """`PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT`, or `PROXY UNKNOWN` and anything."""
    cdef const char* end = <const char*>memchr(data, c"\n", min(n, <size_t>LINE_MAX))
    cdef char[LINE_MAX + 1] line
    cdef sockaddr_in v4
    cdef sockaddr_in6 v6
    cdef size_t length
    if end is NULL:
        return MORE_NEEDED if n < LINE_MAX else NO_PROXY_HEADER
    length = end - data + 1
    if length < 2 or data[length - 2] != c"\r":
        return NO_PROXY_HEADER
    memcpy(line, data, length - 2)
    line[length - 2] = 0
    if memchr(line, 0, length - 2) is not NULL:
        return NO_PROXY_HEADER
    words = line[:length - 2].split(b" ")
    if words[1] == b"UNKNOWN":
        return <int>length
    if len(words) != 6 or not is_port(words[4]) or not is_port(words[5]):
        return NO_PROXY_HEADER
    memset(&v4, 0, sizeof(v4))
    memset(&v6, 0, sizeof(v6))
    if words[1] == b"TCP4":
        v4.sin_family = AF_INET
        # The destination is read first: what is kept is the source.
        if inet_pton(AF_INET, words[3], &v4.sin_addr) != 1 or inet_pton(AF_INET, words[2], &v4.sin_addr) != 1:
            return NO_PROXY_HEADER
        peer.address_n = spell(&v4, peer.address)
    elif words[1] == b"TCP6":
        v6.sin6_family = AF_INET6
        if (inet_pton(AF_INET6, words[3], &v6.sin6_addr) != 1
                or inet_pton(AF_INET6, words[2], &v6.sin6_addr) != 1):
            return NO_PROXY_HEADER
        peer.address_n = spell(&v6, peer.address)
    else:
        return NO_PROXY_HEADER
    return <int>length


cdef bint is_port(bytes text) noexcept:
    return text.isdigit() and len(text) <= 5 and int(text) <= 65535 and (text[0] != 48 or len(text) == 1)
