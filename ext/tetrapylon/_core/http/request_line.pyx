"""What a request asks for: its target made normal, its Host held valid."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memchr, memmove

from tetrapylon._core.buffer cimport (
    HOST, Head, Header, head_add, head_append, head_copy, head_find, same_name,
)
from tetrapylon._core.exchange cimport *
from tetrapylon._core.routing.path cimport PATH_GROWTH, normalise, path_length


cdef bint[256] in_host         # as it is, without percent-encoding
for _c in range(256):
    in_host[_c] = _c in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;="


cdef bint host_is_valid(const char* host, size_t n) noexcept:
    """RFC 9110 section 7.2: a name or address (RFC 3986 section 3.2.2), perhaps a port; without userinfo."""
    cdef size_t i = 0
    if n and host[0] == c"[":
        i = 1
        while i < n and (is_hex(host[i]) or host[i] in (c":", c".")):
            i += 1
        if i < 3 or i == n or host[i] != c"]":
            return False
        i += 1
    else:
        while i < n:
            if in_host[<uint8_t>host[i]]:
                i += 1
            elif host[i] == c"%" and n - i >= 3 and is_hex(host[i + 1]) and is_hex(host[i + 2]):
                i += 3
            else:
                break
    if i < n and host[i] != c":":
        return False
    for i in range(i + 1, n):
        if not c"0" <= host[i] <= c"9":
            return False
    return True


cdef inline bint is_hex(char c) noexcept:
    return c"0" <= c <= c"9" or c"a" <= (c | 0x20) <= c"f"


cdef Fault read_target(Exchange x) noexcept:
    """Origin, absolute and asterisk form (RFC 9112 section 3.2); the path made normal, Host valid."""
    cdef Head* head = &x.request
    cdef const char* target = head.data + head.target
    cdef Header* line
    cdef Header* host = NULL
    cdef uint32_t i, scheme = 0, end
    for i in range(head.count):
        line = &head.headers[i]
        if line.known == HOST:
            if host is not NULL:
                return BAD_HOST
            host = line
    if host is NULL:
        if head.minor:
            return BAD_HOST
    elif not host_is_valid(head.data + host.value, host.value_length):
        return BAD_HOST
    if is_method(x, b"CONNECT", 7):
        return BAD_TARGET
    if target[0] == c"*":
        return NO_FAULT if head.target_length == 1 and is_method(x, b"OPTIONS", 7) else BAD_TARGET
    if target[0] != c"/":
        if head.target_length > 7 and same_name(target, b"http://", 7):
            scheme = 7
        elif head.target_length > 8 and same_name(target, b"https://", 8):
            scheme = 8
        else:
            return BAD_TARGET
        end = scheme
        while end < head.target_length and target[end] != c"/" and target[end] != c"?":
            end += 1
        if end == scheme or target[scheme] == c":" or not host_is_valid(target + scheme, end - scheme):
            return BAD_TARGET
        if end == head.target_length or target[end] == c"?":
            # An empty path is "/" (RFC 9110 section 4.2.3): there is one too many before the authority.
            memmove(head.data + head.target + scheme - 1, target + scheme, end - scheme)
            scheme -= 1
            end -= 1
            head.data[head.target + end] = c"/"
        if host is NULL:
            if head_add(head, b"Host", 4, b"", 0, 0) < 0:
                return INTERNAL_FAULT
            host = &head.headers[head.count - 1]
        # RFC 9112 section 3.2.2: the authority of the target replaces the Host that came.
        host.value = head.target + scheme
        host.value_length = end - scheme
        head.target += end
        head.target_length -= end
    return read_path(x)


cdef char* path_scratch = NULL
cdef size_t path_scratch_n = 0


cdef Fault read_path(Exchange x) noexcept:
    global path_scratch, path_scratch_n
    cdef char* grown
    cdef Head* head = &x.request
    cdef Py_ssize_t n = path_length(head.data + head.target, head.target_length)
    cdef Py_ssize_t normal_n = n
    cdef size_t need = PATH_GROWTH * <size_t>n + 16
    cdef int64_t at
    cdef int code
    if need > path_scratch_n:
        grown = <char*>realloc(path_scratch, need)
        if grown is NULL:
            return INTERNAL_FAULT
        path_scratch = grown
        path_scratch_n = need
    code = normalise(head.data + head.target, n, path_scratch, &normal_n)
    if code < 0 or memchr(head.data + head.target + n, c"#", head.target_length - n) is not NULL:
        return BAD_TARGET
    if code > 0:
        at = head_append(head, path_scratch, normal_n)
        if at < 0:
            return INTERNAL_FAULT
        need = head.target_length - n
        if head_copy(head, head.target + <uint32_t>n, <uint32_t>need) < 0:
            return INTERNAL_FAULT
        head.target = <uint32_t>at
        head.target_length = <uint32_t>(normal_n + need)
    else:
        normal_n = n
    x.path_length = <uint32_t>normal_n
    x.asked = head.target
    x.asked_length = head.target_length
    return NO_FAULT


cdef Fault rewrite_path(Exchange x) noexcept:
    """The route's own path in place of the client's; the query stays."""
    cdef Head* head = &x.request
    cdef uint32_t start = head.length
    cdef uint32_t query = head.target + x.path_length
    cdef Py_ssize_t i
    for part in x.plan.rewrite:
        if isinstance(part, bytes):
            if head_append(head, <const char*><bytes>part, len(<bytes>part)) < 0:
                return INTERNAL_FAULT
        else:
            i = part
            if head_copy(head, x.asked + x.match.params[i].start, x.match.params[i].length) < 0:
                return INTERNAL_FAULT
    if head_copy(head, query, head.target_length - x.path_length) < 0:
        return INTERNAL_FAULT
    head.target = start
    head.target_length = head.length - start
    return NO_FAULT


cdef bint find_header(void* context, const char* name, Py_ssize_t n, const char** value,
                      Py_ssize_t* value_n) noexcept:
    cdef Head* head = &(<Exchange>context).request
    cdef Header* line = head_find(head, name, n)
    if line is NULL:
        return False
    value[0] = head.data + line.value
    value_n[0] = line.value_length
    return True
