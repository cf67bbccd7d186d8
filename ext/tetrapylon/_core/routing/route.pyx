# cython: auto_pickle=False
from types import GenericAlias
from uuid import UUID

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memset

from tetrapylon._core.routing.explain import explain as explain_routes
from tetrapylon._core.routing.path import normalise_path
from tetrapylon._core.routing.pattern import RouteError

from tetrapylon._core.routing.pack cimport MARK_REST, Key, add_headers, add_hosts, pack, sort
from tetrapylon._core.routing.path cimport decode
from tetrapylon._core.routing.pattern cimport parse_headers, parse_host, parse_methods, parse_path
from tetrapylon._core.routing.trie cimport (
    ANY_METHOD, METHOD_BITS, OTHER_METHOD, Match, Query, header_lookup, release, walk,
)

# Bits 0 to 7. CONNECT names no path (RFC 9110 9.3.6).
cdef tuple STANDARD = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE")
cdef enum:
    GET = 1 << 0
    HEAD = 1 << 1
    OPTIONS = 1 << 6
    FIRST_CUSTOM = 8
    PIECE = 128          # routes in one step of compiling a table


class RouteConflict(RouteError):
    """Routes of which no request could tell which one is meant. `conflicts` holds all of them."""

    def __init__(self, conflicts):
        super().__init__("\n".join(conflict.message for conflict in conflicts))
        self.conflicts = conflicts


@cython.final
cdef class Conflict:
    cdef readonly Route first
    cdef readonly Route second
    cdef readonly str message

    def __init__(self, Route first, Route second):
        self.first = first
        self.second = second
        same = first.methods == second.methods and first.headers == second.headers
        fault = "match the same requests; remove one, or" if same else \
            "are equally specific, and a request can match both;"
        self.message = f"{first} and {second} {fault} tell them apart by path, host, headers or methods"


@cython.final
cdef class Route:
    __class_getitem__ = classmethod(GenericAlias)

    def __str__(self):
        parts = [f"route {self.index + 1}"]
        if self.name is not None:
            parts.append(f"({self.name})")
        parts.append(",".join(self.methods) or "any method")
        parts.append((self.host or "") + self.path)
        if self.headers:
            parts.append("with " + ", ".join(f"{name}: {value}" for name, value in self.headers.items()))
        return " ".join(parts)

    def __repr__(self):
        return f"<{self}>"

    @property
    def segments(self):
        names = iter(self.params)
        kinds = iter(self.kinds)
        return tuple([
            (next(kinds), next(names)) if text and text[0] <= MARK_REST else ("literal", text.decode("ascii"))
            for text in self.key[1:].split(b"\0")
        ])

    # Among routes of one path and host: more header conditions first, then more that name a value, then
    # named methods before any, then HEAD named before HEAD by way of GET.
    cdef uint32_t rank(self) except? 0:
        cdef uint32_t exact = sum(value != "*" for value in self.headers.values())
        return ((0xFFF - len(self.headers)) << 16 | (0xFFF - exact) << 4
                | (not self.methods) << 1 | ("HEAD" not in self.methods))


cdef list conflicts_among(list routes):
    """The conflicts among routes of one path and host: each route against the first it clashes with.

    Routes with as many conditions clash when one request can meet all of them and has a method both name.
    """
    cdef list found = []
    cdef dict ranks = {}
    cdef dict shapes
    cdef Route route, other
    for route in routes:
        exact = sum(value != "*" for value in route.headers.values())
        ranks.setdefault((len(route.headers), exact), []).append(route)
    for ranked in ranks.values():
        # Conditions on the same headers, if not equal, exclude each other; so only those on others
        # need a closer look.
        shapes = {}
        for route in sorted(ranked, key=index_of):
            shape = tuple([(name, value == "*") for name, value in route.headers.items()])
            taken = shapes.setdefault(shape, ({}, []))
            by_method = taken[0].setdefault(tuple(route.headers.values()), {})
            clash = {by_method[method].index: by_method[method] for method in route.methods or ("",)
                     if method in by_method}
            for group_shape, (_, others) in shapes.items():
                if group_shape != shape:
                    for other in others:
                        if overlap(route, other):
                            clash[other.index] = other
                            break
            found += [Conflict(other, route) for other in clash.values()]
            for method in route.methods or ("",):
                by_method.setdefault(method, route)
            taken[1].append(route)
    return found


cdef object index_of(Route route):
    return route.index


cdef object place_of_conflict(Conflict conflict):
    return conflict.second.index, conflict.first.index


cdef bint overlap(Route one, Route other) except -1:
    if bool(one.methods) != bool(other.methods):
        return False
    if one.methods and set(one.methods).isdisjoint(other.methods):
        return False
    return all(value == "*" or other.headers.get(name, value) in (value, "*")
               for name, value in one.headers.items())


@cython.final
cdef class Freezer:
    def __cinit__(self, uint32_t n):
        self.n = n
        self.keys = <Key*> malloc((n + 1) * sizeof(Key))
        if self.keys == NULL:
            raise MemoryError
        self.hosts = {}
        self.conditions = {}
        self.conflicts = []

    def __dealloc__(self):
        free(self.keys)


@cython.final
cdef class RouteMatch:
    cdef readonly Route route
    cdef readonly str path
    cdef readonly dict params
    cdef readonly dict raw_params
    __match_args__ = ("destination", "params")
    __class_getitem__ = classmethod(GenericAlias)

    @property
    def destination(self):
        return self.route.destination

    def __repr__(self):
        return f"<match of {self.path!r}: {self.route}, {self.params!r}>"


@cython.final
cdef class NotAllowed:
    cdef readonly tuple allowed
    __match_args__ = ("allowed",)

    def __repr__(self):
        return f"<not allowed; allowed: {', '.join(self.allowed)}>"


cdef bint lookup_in_dict(void* ctx, const char* name, Py_ssize_t n,
                         const char** value, Py_ssize_t* value_n) noexcept:
    cdef PyObject* found = PyDict_GetItem(<dict> ctx, name[:n])
    if found == NULL:
        return False
    value[0] = PyBytes_AS_STRING(<bytes> found)
    value_n[0] = PyBytes_GET_SIZE(<bytes> found)
    return True


cdef object value_of(str kind, str part):
    cdef bytes raw
    if kind == "int":
        return int(part)
    if kind == "uuid":
        return UUID(part)
    raw = part.encode("ascii")
    return decode(raw, len(raw))


cdef dict fields_of(headers):
    """Lower-case names and stripped values; of fields that share a name, the first."""
    fields = {}
    for name, value in (headers or {}).items():
        fields.setdefault(name.lower(), value.strip(" \t"))
    return fields


@cython.final
cdef class Router:
    __class_getitem__ = classmethod(GenericAlias)

    def __cinit__(self):
        memset(&self.trie, 0, sizeof(self.trie))
        self.routes = []
        self.table = []
        self.customs = []

    def __dealloc__(self):
        release(&self.trie)

    def __len__(self):
        return len(self.routes)

    def add(self, path, destination, *, methods=(), host=None, headers=None, name=None):
        cdef Route route = Route.__new__(Route)
        if self.frozen:
            raise RouteError("the router is frozen; build a new one")
        route.index = len(self.routes)
        route.path = path
        route.key, route.params, route.kinds = parse_path(path)
        route.destination = destination
        route.methods = parse_methods(methods) if methods else ()
        route.host = parse_host(host)
        route.headers = parse_headers(headers) if headers else {}
        route.name = name
        route.bits = ANY_METHOD
        if route.methods:
            route.bits = 0
            for method in route.methods:
                route.bits |= self.claim_bit(method.encode("ascii"))
            if route.bits & GET:
                route.bits |= HEAD
        self.routes.append(route)
        return route

    cdef uint64_t claim_bit(self, bytes method) except 0:
        cdef uint64_t bit = self.method_bit(method, len(method))
        if bit == OTHER_METHOD:
            if FIRST_CUSTOM + len(self.customs) == METHOD_BITS:
                raise RouteError(f"method {method.decode()!r}: one too many; a router tells apart "
                                 f"{METHOD_BITS - FIRST_CUSTOM} besides the standard ones", "methods")
            self.customs.append(method)
            bit = (<uint64_t> 1) << (FIRST_CUSTOM + len(self.customs) - 1)
        return bit

    def freeze(self):
        for _ in self.freezing():
            pass

    def freezing(self):
        cdef Freezer freezer
        cdef uint32_t low = 0
        if self.frozen:
            return
        freezer = Freezer(len(self.routes))
        self.frozen = True
        try:
            while freezer.filled < freezer.n:
                self.fill(freezer)
                yield False
            if freezer.hosts:
                add_hosts(&self.trie, list(freezer.hosts))
            yield True
            with nogil:
                sort(freezer.keys, freezer.n)
            while low < freezer.n:
                yield False
                low = self.find_conflicts(freezer, low)
            if freezer.conflicts:
                freezer.conflicts.sort(key=place_of_conflict)
                raise RouteConflict(freezer.conflicts)
            yield True
            with nogil:
                freezer.packed = pack(&self.trie, freezer.keys, freezer.n)
            if freezer.packed < 0:
                raise MemoryError
            while len(self.table) < freezer.n:
                yield False
                self.fill_table(freezer)
        except BaseException:
            release(&self.trie)
            self.table = []
            self.frozen = False
            raise

    cdef int fill(self, Freezer freezer) except -1:
        """The keys of the next piece of routes."""
        cdef Key* key
        cdef Route route
        cdef dict hosts = freezer.hosts, conditions = freezer.conditions
        cdef uint32_t end = min(freezer.filled + PIECE, freezer.n)
        for route in self.routes[freezer.filled:end]:
            key = freezer.keys + freezer.filled
            freezer.filled += 1
            key.text = route.key
            key.length = <uint32_t> len(route.key)
            key.route = <uint32_t> route.index
            key.host = 0
            if route.host is not None:
                key.host = hosts.setdefault(route.host.removeprefix("*").encode("ascii"), len(hosts) + 1)
            key.headers = 0
            if route.headers:
                wanted = tuple([
                    (name.encode("ascii"), None if value == "*" else value.encode("latin-1"))
                    for name, value in route.headers.items()
                ])
                if wanted not in conditions:
                    conditions[wanted] = add_headers(&self.trie, wanted)
                key.headers = conditions[wanted]
            key.rank = route.rank()
            key.methods = route.bits
            key.destination = <void*> route.destination
        return 0

    cdef int fill_table(self, Freezer freezer) except -1:
        cdef uint32_t i, done = len(self.table)
        for i in range(done, min(done + PIECE, freezer.n)):
            self.table.append(self.routes[freezer.keys[i].route])
        return 0

    # Only routes of one pattern and host can be equally specific, and sorting has put them side by
    # side: patterns that differ are told apart by their first differing segment, hosts by being longer.
    cdef uint32_t find_conflicts(self, Freezer freezer, uint32_t low) except? 0:
        """Those of the next piece; where the one after it begins."""
        cdef const Key* keys = freezer.keys
        cdef uint32_t high, n = freezer.n, end = min(low + PIECE, n)
        while low < end:
            high = low + 1
            while (high < n and keys[high].host == keys[low].host and keys[high].length == keys[low].length
                    and memcmp(keys[high].text, keys[low].text, keys[low].length) == 0):
                high += 1
            if high - low > 1:
                freezer.conflicts += conflicts_among([self.routes[keys[i].route] for i in range(low, high)])
            low = high
        return low

    cdef uint64_t method_bit(self, const char* method, Py_ssize_t n) noexcept:
        cdef int i
        cdef bytes known
        if n == 3:
            if memcmp(method, b"GET", 3) == 0:
                return GET
            if memcmp(method, b"PUT", 3) == 0:
                return 1 << 3
        for i in range(FIRST_CUSTOM):
            known = <bytes> STANDARD[i]
            if PyBytes_GET_SIZE(known) == n and memcmp(PyBytes_AS_STRING(known), method, n) == 0:
                return (<uint64_t> 1) << i
        for i in range(len(self.customs)):
            known = <bytes> self.customs[i]
            if PyBytes_GET_SIZE(known) == n and memcmp(PyBytes_AS_STRING(known), method, n) == 0:
                return (<uint64_t> 1) << (FIRST_CUSTOM + i)
        return OTHER_METHOD

    cdef int find(self, const char* method, Py_ssize_t method_n, const char* host, Py_ssize_t host_n,
                  const char* path, Py_ssize_t path_n, header_lookup lookup, void* ctx, Match* out) noexcept:
        cdef Query query
        if self.trie.root == 0 or path_n == 0 or path[0] != c"/":
            return NO_ROUTE
        query.path = path
        query.path_n = path_n
        query.host = host
        query.host_n = host_n
        query.method = self.method_bit(method, method_n)
        query.lookup = lookup
        query.ctx = ctx
        query.allowed = 0
        query.n_hosts = -1
        if walk(&self.trie, &query, out):
            return FOUND
        if query.allowed == 0:
            return NO_ROUTE
        out.allowed = query.allowed | OPTIONS
        return ONLY_OPTIONS if query.method == OPTIONS else NO_METHOD

    cdef tuple names(self, uint64_t allowed):
        cdef list known = list(STANDARD) + self.customs
        return tuple([known[i] for i in range(len(known)) if allowed >> i & 1])

    cdef bytes allow(self, uint64_t allowed):
        return b", ".join(self.names(allowed))

    def match(self, method, path, host="", headers=None):
        cdef Match found
        cdef bytes raw_method = method.encode("utf-8", "surrogateescape")
        cdef bytes raw_host = host.encode("utf-8", "surrogateescape")
        cdef str normal = normalise_path(path)
        cdef bytes raw_path = normal.encode("ascii")
        cdef dict fields = {
            name.encode("latin-1", "replace"): value.encode("latin-1", "replace")
            for name, value in fields_of(headers).items()
        }
        cdef RouteMatch match
        cdef NotAllowed refused
        cdef int outcome
        self.require_frozen()
        outcome = self.find(raw_method, len(raw_method), raw_host, len(raw_host), raw_path, len(raw_path),
                            lookup_in_dict, <void*> fields, &found)
        if outcome == NO_ROUTE:
            return None
        if outcome != FOUND:
            refused = NotAllowed.__new__(NotAllowed)
            refused.allowed = tuple([name.decode("ascii") for name in self.names(found.allowed)])
            return refused
        match = RouteMatch.__new__(RouteMatch)
        match.route = <Route> self.table[found.route]
        match.path = normal
        match.raw_params = {
            name: normal[found.params[i].start:found.params[i].start + found.params[i].length]
            for i, name in enumerate(match.route.params)
        }
        match.params = {
            name: value_of(kind, match.raw_params[name])
            for name, kind in zip(match.route.params, match.route.kinds)
        }
        return match

    def explain(self, method, path, host="", headers=None, *, limit=10):
        self.require_frozen()
        return explain_routes(self.routes, method, normalise_path(path), bare_host(host), fields_of(headers),
                              limit)

    cdef int require_frozen(self) except -1:
        if not self.frozen:
            raise RouteError("the router is still being filled; call freeze() first")
        return 0


cdef str bare_host(str host):
    """Lower case, without port and final dot: what hosts are compared by."""
    name = host.lower()
    name = name.partition("]")[0] + "]" if name.startswith("[") else name.partition(":")[0]
    return name.removesuffix(".")
