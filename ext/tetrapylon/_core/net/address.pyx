"""Socket addresses, as text and as the kernel takes them."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset, strlen

cdef extern from "<sys/socket.h>" nogil:
    cdef enum:
        AF_INET
        AF_INET6
        AF_UNIX
    ctypedef unsigned int socklen_t
    cdef struct sockaddr_storage:
        unsigned short ss_family

cdef extern from "<netinet/in.h>" nogil:
    cdef struct in_addr:
        pass
    cdef struct in6_addr:
        unsigned char* s6_addr
    cdef struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    cdef struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    unsigned short htons(unsigned short value)
    bint IN6_IS_ADDR_V4MAPPED(const in6_addr* address)

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)
    const char* inet_ntop(int family, const void* address, char* text, socklen_t n)

cdef extern from "<sys/un.h>" nogil:
    cdef struct sockaddr_un:
        unsigned short sun_family
        char* sun_path


cdef class Address:
    @staticmethod
    def ip(str host not None, int port, int scope=0):
        """An IPv4 or IPv6 address in text form. Raises ValueError for anything else."""
        cdef Address self = Address()
        cdef sockaddr_in v4
        cdef sockaddr_in6 v6
        text = host.encode("ascii")
        memset(&v4, 0, sizeof(v4))
        memset(&v6, 0, sizeof(v6))
        if inet_pton(AF_INET, text, &v4.sin_addr) == 1:
            v4.sin_family = AF_INET
            v4.sin_port = htons(<unsigned short>port)
            memcpy(self.raw, &v4, sizeof(v4))
            self.raw_n = sizeof(v4)
            self.family = AF_INET
            self.text = f"{host}:{port}"
        elif inet_pton(AF_INET6, text, &v6.sin6_addr) == 1:
            v6.sin6_family = AF_INET6
            v6.sin6_port = htons(<unsigned short>port)
            v6.sin6_scope_id = scope
            memcpy(self.raw, &v6, sizeof(v6))
            self.raw_n = sizeof(v6)
            self.family = AF_INET6
            self.text = f"[{host}]:{port}"
        else:
            raise ValueError(f"{host!r} is no IP address")
        return self

    @staticmethod
    def unix(str path not None):
        """A Unix socket. Raises ValueError when the path is longer than 107 bytes."""
        cdef Address self = Address()
        cdef sockaddr_un* un = <sockaddr_un*>self.raw
        cdef const char* source
        name = path.encode()
        if len(name) > 107:
            raise ValueError(f"{path!r} is longer than the 107 bytes a Unix socket's path may have")
        source = name
        memset(self.raw, 0, sizeof(self.raw))
        un.sun_family = AF_UNIX
        memcpy(un.sun_path, source, len(name))
        self.raw_n = sizeof(sockaddr_un)
        self.family = AF_UNIX
        self.text = f"unix:{path}"
        return self

    def __eq__(self, other):
        return isinstance(other, Address) and self.text == (<Address>other).text

    def __hash__(self):
        return hash(self.text)

    def __repr__(self):
        return f"<Address {self.text}>"


cdef size_t spell(const void* raw, char* text) noexcept:
    """An address without its port, as X-Forwarded-For has it; how long it is, at most SPELLED - 1.

    An IPv4 client of an IPv6 socket is written as IPv4; what is no IP address is "unix:".
    """
    cdef const sockaddr_storage* address = <const sockaddr_storage*>raw
    cdef const sockaddr_in6* v6 = <const sockaddr_in6*>raw
    cdef const char* written
    if address.ss_family == AF_INET:
        written = inet_ntop(AF_INET, &(<const sockaddr_in*>raw).sin_addr, text, SPELLED)
    elif address.ss_family != AF_INET6:
        memcpy(text, b"unix:", 6)
        return 5
    elif IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr):
        written = inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text, SPELLED)
    else:
        written = inet_ntop(AF_INET6, &v6.sin6_addr, text, SPELLED)
    return strlen(text) if written is not NULL else 0


cdef size_t normal(const char* text, char* out) noexcept:
    """An address as `spell` writes it; 0: it is none."""
    cdef sockaddr_in6 v6
    if inet_pton(AF_INET, text, v6.sin6_addr.s6_addr) == 1:
        return strlen(inet_ntop(AF_INET, v6.sin6_addr.s6_addr, out, SPELLED))
    v6.sin6_family = AF_INET6
    if inet_pton(AF_INET6, text, &v6.sin6_addr) == 1:
        return spell(&v6, out)
    return 0


cdef bytes network(const char* text, size_t n):
    """Whose address it is: an IPv6 client has a /64 of them (RFC 6177)."""
    cdef char[16] raw
    return raw[:8] if inet_pton(AF_INET6, text[:n], raw) == 1 else text[:n]


cdef bint network_bits(const char* text, size_t n, int prefix, char* out) noexcept:
    """The 16 bytes of an IPv6 address, those bits cleared that are behind the prefix; False: it is none."""
    cdef char[SPELLED] ended
    cdef int i
    if n >= SPELLED:
        return False
    memcpy(ended, text, n)
    ended[n] = 0
    if inet_pton(AF_INET6, ended, out) != 1:
        return False
    for i in range(16):
        if prefix < 8:
            out[i] = <char>(out[i] & (0xFF00 >> prefix)) if prefix > 0 else 0
        prefix -= 8
    return True
