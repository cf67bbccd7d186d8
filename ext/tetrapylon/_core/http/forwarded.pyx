"""Whose request it is, when proxies that are trusted have passed it on."""

from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from tetrapylon._core.buffer cimport DROPPED, FORWARDED, X_FORWARDED_FOR, Header, head_known
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.net.address cimport SPELLED, normal


cdef void find_client(Exchange x, object trusts) noexcept:
    """Note the nearest address that no trusted proxy has: from the right, each one was seen by the next.

    X-Forwarded-For, else Forwarded (RFC 7239 section 5.2). Where the chain breaks off (a name, `unknown`,
    rubbish) the last proxy that was believed speaks for it.
    """
    cdef uint32_t i = x.request.count
    cdef Header* line
    cdef int known = X_FORWARDED_FOR if head_known(&x.request, X_FORWARDED_FOR) is not NULL else FORWARDED
    while i:
        i -= 1
        line = &x.request.headers[i]
        if line.known != known or line.mark & DROPPED:
            continue
        value = x.request.data[line.value:line.value + line.value_length]
        for element in reversed(value.split(b",")):
            if not element.strip(b" \t"):
                continue            # RFC 9110 section 5.6.1.2
            address = element if known == X_FORWARDED_FOR else forwarded_for(element)
            if not note(x, strip_port(address.strip(b" \t\""))):
                return
            if not trusts(x.client[:x.client_n].decode()):
                return


cdef bytes forwarded_for(bytes element):
    for pair in element.split(b";"):
        name, _, value = pair.strip(b" \t").partition(b"=")
        if name.lower() == b"for":
            return value
    return b""


cdef bytes strip_port(bytes address):
    """`192.0.2.1:80`, `[2001:db8::1]:80` and `[2001:db8::1]` have their address alone in the middle."""
    if address.startswith(b"["):
        return address[1:].partition(b"]")[0]
    return address.partition(b":")[0] if address.count(b":") == 1 else address


cdef bint note(Exchange x, bytes address) noexcept:
    cdef char[SPELLED] written
    cdef size_t n = normal(address, written)
    if not n:
        return False
    memcpy(x.client, written, n)
    x.client_n = n
    return True
