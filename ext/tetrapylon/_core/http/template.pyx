from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy, memset

from tetrapylon._core.buffer cimport (
    HOST, X_FORWARDED_PROTO, X_REQUEST_ID, Head, Header, head_find, head_known, same_name,
)
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.fields cimport Piece, trimmed

import re

cdef dict VARIABLES = {
    "client": CLIENT,
    "consumer": CONSUMER,
    "request_id": REQUEST_ID,
    "route": ROUTE,
    "host": HOST_NAME,
    "authority": AUTHORITY,
    "scheme": SCHEME,
    "method": METHOD,
    "path": PATH,
    "query": QUERY,
    "target": TARGET,
}
cdef object PIECE = re.compile(r"([^{}]+)|(\{\{|\}\})|\{([^{}]*)\}")
cdef object FIELD_NAME = re.compile(r"[^\W\d]\w*(?:\.[\w-]+)*")      # of an earlier answer, with its dots
cdef object TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def pieces(str text not None):
    """The pieces of a template: (text, None) for what stands as it is, (None, name) for a variable.

    `{{` and `}}` are braces. Raises ValueError for a stray brace, and for what can be no name.
    """
    found = []
    end = 0
    while end < len(text):
        match = PIECE.match(text, end)
        if match is None:
            raise ValueError(
                f"a stray brace in {text!r}; a variable is written {{name}}, a brace {{{{ or }}}}")
        if match[1] is not None:
            found.append((match[1], None))
        elif match[2] is not None:
            found.append((match[2][0], None))
        else:
            name = match[3]
            kind, colon, rest = name.partition(":")
            if colon and kind not in ("header", "param"):
                raise ValueError(f"{{{name}}} is no variable; expected {{header:NAME}} or {{param:NAME}}")
            if kind == "header" and colon and TOKEN.fullmatch(rest) is None:
                raise ValueError(f"{{{name}}} names no header; expected one such as {{header:X-Tenant}}")
            if not (colon or name.isdigit() or FIELD_NAME.fullmatch(name)):
                raise ValueError(f"{{{name}}} names no variable; a variable is written {{name}}")
            found.append((None, name))
        end = match.end()
    return found


def unknown(str text not None, parameters, groups=()):
    """The first name in a template that means nothing where the route has these parameters, and what would.

    None if all are known. Raises ValueError as `pieces`.
    """
    known = {*VARIABLES, *parameters, *groups}
    for _, name in pieces(text):
        if name is None or name in known or name.startswith("header:"):
            continue
        if name.partition(":")[0] == "param" and name[6:] in parameters:
            continue
        return name, sorted(known)
    return None


cdef class Template:
    def __cinit__(self, str text not None, parameters=(), groups=()):
        """`parameters` of the route's path, in order; `groups` of a regular expression, in order.

        A variable wins over a parameter of its name, which is written {param:NAME}; a group over both.
        Raises ValueError for what is no template, and for names that mean nothing.
        """
        parts = pieces(text)
        parameters = list(parameters)
        groups = list(groups)
        self.text = text
        self.kept = []
        self.parts = <Part*>malloc((len(parts) or 1) * sizeof(Part))
        if self.parts is NULL:
            raise MemoryError
        memset(self.parts, 0, (len(parts) or 1) * sizeof(Part))
        for literal, name in parts:
            self.add(literal, name, parameters, groups)

    def __dealloc__(self):
        free(self.parts)
        free(self.data)

    def add(self, literal, name, list parameters not None, list groups not None):
        cdef Part* part = &self.parts[self.count]
        cdef bytes kept
        if name is None or name.startswith("header:"):
            kept = literal.encode("latin-1") if name is None else name[7:].lower().encode("ascii")
            self.kept.append(kept)
            part.kind = LITERAL if name is None else FIELD
            part.data = kept
            part.n = len(kept)
        elif name in groups:
            part.kind = GROUP
            part.index = groups.index(name)
        elif name in VARIABLES:
            part.kind = <Variable><int>VARIABLES[name]
        elif name.removeprefix("param:") in parameters:
            part.kind = PARAMETER
            part.index = parameters.index(name.removeprefix("param:"))
        else:
            known = ", ".join(sorted({*VARIABLES, *parameters, *groups}))
            raise ValueError(f"{{{name}}} means nothing here; expected one of {known}")
        self.count += 1

    cdef bint put(self, const char* data, size_t n) noexcept:
        cdef size_t capacity = self.capacity or 128
        cdef char* grown
        if n == 0:
            return True
        if self.n + n > self.capacity:
            while capacity < self.n + n:
                capacity *= 2
            grown = <char*>realloc(self.data, capacity)
            if grown is NULL:
                return False
            self.data = grown
            self.capacity = capacity
        memcpy(self.data + self.n, data, n)
        self.n += n
        return True

    cdef bint put_encoded(self, const char* data, size_t n, bint in_query, bint encoded) noexcept:
        """`encoded`: the value was part of a URL; its escapes stay."""
        cdef char[3] escape
        cdef size_t i
        cdef unsigned char c
        for i in range(n):
            c = <unsigned char>data[i]
            if unreserved[c] or (encoded and (c == c"%" or (not in_query and c not in (c"?", c"#")))):
                if not self.put(data + i, 1):
                    return False
                continue
            escape[0] = c"%"
            escape[1] = HEX[c >> 4]
            escape[2] = HEX[c & 15]
            if not self.put(escape, 3):
                return False
        return True

    cdef bint expand(self, Exchange x, tuple groups=None, Context context=TEXT) noexcept:
        cdef Piece piece
        cdef Part* part
        cdef size_t i
        cdef bint in_query = context == VALUE, encoded
        self.n = 0
        for i in range(self.count):
            part = &self.parts[i]
            if part.kind == LITERAL:
                piece.data = part.data
                piece.n = part.n
                if context == URL and memchr(piece.data, c"?", piece.n) is not NULL:
                    in_query = True
            elif part.kind == GROUP:
                piece.data = <const char*><bytes>groups[part.index]
                piece.n = len(<bytes>groups[part.index])
            else:
                piece = variable(x, part)
            if (context == TEXT or part.kind in (LITERAL, SCHEME, HOST_NAME, AUTHORITY)
                    or (context == URL and part.kind in (QUERY, TARGET))):
                if not self.put(piece.data, piece.n):
                    return False
                continue
            encoded = part.kind in (GROUP, PARAMETER, PATH, QUERY, TARGET)
            if not self.put_encoded(piece.data, piece.n, in_query, encoded):
                return False
        return True


cdef const char* HEX = b"0123456789ABCDEF"
cdef bint[256] unreserved           # RFC 3986 section 2.3
for _c in range(256):
    unreserved[_c] = _c in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"


cdef Piece variable(Exchange x, const Part* part) noexcept:
    cdef Head* head = &x.request
    cdef Header* line = NULL
    cdef Piece piece
    piece.data = b""
    piece.n = 0
    if part.kind == CLIENT:
        return client_of(x)
    if part.kind == CONSUMER:
        if x.consumer is not None:
            piece.data = x.consumer.label
            piece.n = len(x.consumer.label)
    elif part.kind == ROUTE:
        piece.data = x.plan.label
        piece.n = len(x.plan.label)
    elif part.kind == HOST_NAME or part.kind == AUTHORITY:
        return host_of(x, part.kind == AUTHORITY)
    elif part.kind == SCHEME:
        piece.data = b"https" if is_secure(x) else b"http"
        piece.n = 5 if is_secure(x) else 4
    elif part.kind == METHOD:
        piece.data = head.data + head.method
        piece.n = head.method_length
    elif part.kind == PATH:
        piece.data = head.data + x.asked
        piece.n = x.path_length
    elif part.kind == TARGET:
        piece.data = head.data + x.asked
        piece.n = x.asked_length
    elif part.kind == QUERY:
        if x.asked_length > x.path_length:
            piece.data = head.data + x.asked + x.path_length + 1
            piece.n = x.asked_length - x.path_length - 1
    elif part.kind == PARAMETER:
        piece.data = head.data + x.asked + x.match.params[part.index].start
        piece.n = x.match.params[part.index].length
    else:
        if part.kind == REQUEST_ID:
            line = head_known(head, X_REQUEST_ID)
        else:
            line = head_find(head, part.data, part.n)
        if line is not NULL:
            piece.data = head.data + line.value
            piece.n = line.value_length
    return piece


cdef bint is_secure(Exchange x) noexcept:
    cdef Header* line
    if x.peer.trusted:
        line = head_known(&x.request, X_FORWARDED_PROTO)
        if line is not NULL:
            return line.value_length == 5 and same_name(x.request.data + line.value, b"https", 5)
    return x.peer.tls


cdef Piece client_of(Exchange x) noexcept:
    cdef Piece piece
    piece.data = &x.client[0] if x.client_n else &x.peer.address[0]
    piece.n = x.client_n or x.peer.address_n
    return piece


cdef Piece host_of(Exchange x, bint port) noexcept:
    cdef Header* line = head_known(&x.request, HOST)
    cdef Piece piece
    cdef const char* colon
    cdef const char* bracket
    piece.data = b""
    piece.n = 0
    if line is NULL:
        return piece
    piece = trimmed(x.request.data + line.value, x.request.data + line.value + line.value_length)
    if port or not piece.n:
        return piece
    bracket = <const char*>memchr(piece.data, c"]", piece.n) if piece.data[0] == c"[" else NULL
    if bracket is not NULL:
        piece.n = bracket + 1 - piece.data
        return piece
    colon = <const char*>memchr(piece.data, c":", piece.n)
    if colon is not NULL:
        piece.n = colon - piece.data
    return piece
