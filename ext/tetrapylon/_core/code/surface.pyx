"""`Request` and `Response`: an exchange as users' own Python sees it."""

from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint32_t

from tetrapylon._core.buffer cimport DROPPED, HOP, HOST, OURS, Head, Header, head_add, head_known, same_name
from tetrapylon._core.code.json_rules cimport BadJson, hold_to_rules
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.pairs cimport next_crumb, query_pairs
from tetrapylon._core.routing.path cimport decode, path_length

import re

import msgspec

from tetrapylon.errors import ExchangeOver

cdef object TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
cdef object UNFIT = re.compile(rb"[\x00\r\n]").search
# Fields that frame a message or belong to one connection (RFC 9112 section 6, RFC 9110 section 7.6.1).
cdef frozenset FRAMING = frozenset((
    b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
))
cdef object MISSING = object()


cdef class View:
    cdef int live(self) except -1:
        if self.x is not None and self.x.generation != self.generation:
            raise ExchangeOver(
                "the exchange has ended: what is needed of a request later has to be kept before it does")
        return 0

    def __reduce__(self):
        raise TypeError(f"a {type(self).__name__} belongs to its exchange and cannot be pickled")


cdef inline void bind(View view, Exchange x) noexcept:
    view.x = x
    view.generation = x.generation


cdef Request request_view(Exchange x, dict shared):
    cdef Request request = Request.__new__(Request)
    bind(request, x)
    request.shared = shared
    return request


cdef Response response_view(Exchange x, bytes body):
    cdef Response response = Response.__new__(Response)
    bind(response, x)
    response.content = body
    return response


cdef bytes name_of(name):
    cdef bytes raw
    try:
        raw = name.encode("ascii") if isinstance(name, str) else name
    except UnicodeEncodeError:
        raw = b""
    if TOKEN(raw) is None:
        raise ValueError(f"{name!r} is no field name (RFC 9110 section 5.1)")
    return raw


cdef bytes value_of(name, value):
    cdef bytes raw
    if isinstance(value, str):
        try:
            raw = value.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"the value of {name} has what no field can carry: {value!r}") from None
    elif isinstance(value, bytes):
        raw = value
    elif isinstance(value, int) and not isinstance(value, bool):
        raw = str(value).encode()
    else:
        raise TypeError(f"the value of {name} is of type {type(value).__name__}; expected str, bytes or int")
    if UNFIT(raw) is not None:
        raise ValueError(f"the value of {name} has a line break or NUL (RFC 9110 section 5.5)")
    return raw.strip(b" \t")


cdef inline str text_of(const char* data, size_t n):
    return PyUnicode_DecodeLatin1(data, n, NULL)


cdef class Headers(View):
    """Fields by name, in any case; a name may stand more than once."""

    cdef Head* head(self) except NULL:
        self.live()
        return &self.x.response if self.of_response else &self.x.request

    cdef list find(self, name):
        cdef list found = []
        cdef bytes lower
        cdef Head* head
        cdef Header* line
        cdef uint32_t i
        if not isinstance(name, str):
            return found
        lower = (<str>name).lower().encode("latin-1", "replace")
        if self.own is not None:
            for own_name, value in self.own:
                if (<bytes>own_name).lower() == lower:
                    found.append((<bytes>value).decode("latin-1"))
            return found
        head = self.head()
        for i in range(head.count):
            line = &head.headers[i]
            if (line.name_length == <uint32_t>len(lower) and not line.mark & (DROPPED | HOP)
                    and same_name(head.data + line.name, lower, len(lower))):
                found.append(text_of(head.data + line.value, line.value_length))
        return found

    cdef int drop(self, name) except -1:
        cdef bytes lower = name_of(name).lower()
        cdef Head* head
        cdef Header* line
        cdef uint32_t i
        cdef int count = 0
        if self.own is not None:
            kept = [pair for pair in self.own if (<bytes>pair[0]).lower() != lower]
            count = len(self.own) - len(kept)
            self.own = kept
            return count
        head = self.head()
        if lower in FRAMING or (lower == b"host" and not self.of_response):
            raise ValueError(f"{name} is the gateway's own: it frames messages and names the upstream itself")
        for i in range(head.count):
            line = &head.headers[i]
            if (line.name_length == <uint32_t>len(lower) and not line.mark & (DROPPED | HOP)
                    and same_name(head.data + line.name, lower, len(lower))):
                line.mark |= DROPPED
                count += 1
        return count

    cdef int put(self, name, value) except -1:
        cdef bytes raw = name_of(name)
        cdef bytes content = value_of(name, value)
        cdef bytes lower = raw.lower()
        if lower in FRAMING or (lower == b"host" and self.own is None and not self.of_response):
            raise ValueError(f"{name} is the gateway's own: it frames messages and names the upstream itself")
        if self.own is not None:
            self.own.append((raw, content))
        elif head_add(self.head(), raw, len(raw), content, len(content), OURS) < 0:
            raise MemoryError
        return 0

    def __getitem__(self, name):
        cdef list found = self.find(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __setitem__(self, name, value):
        value_of(name, value)
        self.drop(name)
        self.put(name, value)

    def __delitem__(self, name):
        if not self.drop(name):
            raise KeyError(name)

    def __contains__(self, name):
        return bool(self.find(name))

    def __iter__(self):
        return iter(dict.fromkeys([name.lower() for name, _ in self.items()]))

    def __len__(self):
        return len({name.lower() for name, _ in self.items()})

    def __repr__(self):
        return f"<Headers {self.items()!r}>"

    def __eq__(self, other):
        return isinstance(other, Headers) and self.items() == (<Headers>other).items()

    def get(self, name, default=None):
        cdef list found = self.find(name)
        return found[0] if found else default

    def getall(self, name):
        return self.find(name)

    def add(self, name, value):
        self.put(name, value)

    def keys(self):
        return list(self)

    def values(self):
        return [value for _, value in self.items()]

    def items(self):
        cdef list found = []
        cdef Head* head
        cdef Header* line
        cdef uint32_t i
        if self.own is not None:
            return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.own]
        head = self.head()
        for i in range(head.count):
            line = &head.headers[i]
            if not line.mark & (DROPPED | HOP):
                found.append((text_of(head.data + line.name, line.name_length),
                              text_of(head.data + line.value, line.value_length)))
        return found


cdef list field_lines(headers):
    """Of a mapping or of pairs: (name, value) as they go onto the wire. Raises ValueError and TypeError."""
    cdef Headers fields = Headers.__new__(Headers)
    fields.own = []
    fields.of_response = True
    if headers:
        for name, value in headers.items() if hasattr(headers, "items") else headers:
            fields.put(name, value)
    return fields.own


cdef class Query(View):
    """The query's parameters; a name may stand more than once."""

    cdef dict parsed(self):
        cdef size_t start
        self.live()
        if self.values is None:
            start = path_length(self.x.request.data + self.x.asked, self.x.asked_length)
            self.values = {}
            if start < self.x.asked_length:
                for name, value in query_pairs(
                        self.x.request.data + self.x.asked + start + 1, self.x.asked_length - start - 1):
                    self.values.setdefault(name, []).append(value)
        return self.values

    def __getitem__(self, name):
        return self.parsed()[name][0]

    def __contains__(self, name):
        return name in self.parsed()

    def __iter__(self):
        return iter(self.parsed())

    def __len__(self):
        return len(self.parsed())

    def __repr__(self):
        return f"<Query {self.items()!r}>"

    def get(self, name, default=None):
        found = self.parsed().get(name)
        return found[0] if found else default

    def getall(self, name):
        return list(self.parsed().get(name, ()))

    def keys(self):
        return list(self.parsed())

    def items(self):
        return [(name, value) for name, found in self.parsed().items() for value in found]


cdef class Request(View):
    """One request, read where it lies. Everything but `state` and `shared` may raise ExchangeOver."""

    @property
    def method(self):
        self.live()
        return text_of(self.x.request.data + self.x.request.method, self.x.request.method_length)

    @property
    def target(self):
        """As the client asked for it, its path made normal."""
        self.live()
        return text_of(self.x.request.data + self.x.asked, self.x.asked_length)

    @property
    def sent_target(self):
        self.live()
        return text_of(self.x.request.data + self.x.request.target, self.x.request.target_length)

    @property
    def path(self):
        """Decoded."""
        self.live()
        return decode(self.x.request.data + self.x.asked,
                      path_length(self.x.request.data + self.x.asked, self.x.asked_length))

    @property
    def query(self):
        if self.pairs is None:
            self.live()
            self.pairs = Query.__new__(Query)
            bind(self.pairs, self.x)
        return self.pairs

    @property
    def headers(self):
        if self.fields is None:
            self.live()
            self.fields = Headers.__new__(Headers)
            bind(self.fields, self.x)
        return self.fields

    @property
    def cookies(self):
        cdef size_t at, name = 0, name_n = 0, value = 0, value_n = 0
        cdef const char* text
        cdef Head* head
        cdef uint32_t i
        self.live()
        if self.crumbs is None:
            self.crumbs = {}
            head = &self.x.request
            for i in range(head.count):
                if (head.headers[i].mark & DROPPED or head.headers[i].name_length != 6
                        or not same_name(head.data + head.headers[i].name, b"cookie", 6)):
                    continue
                text = head.data + head.headers[i].value
                at = 0
                while next_crumb(text, head.headers[i].value_length, &at, &name, &name_n, &value, &value_n):
                    self.crumbs.setdefault(text_of(text + name, name_n), text_of(text + value, value_n))
        return dict(self.crumbs)

    @property
    def client(self):
        """The client's address, as trusted proxies tell it."""
        self.live()
        if self.x.client_n:
            return text_of(self.x.client, self.x.client_n)
        return text_of(self.x.peer.address, self.x.peer.address_n)

    @property
    def scheme(self):
        self.live()
        return "https" if self.x.peer.tls else "http"

    @property
    def host(self):
        cdef Header* line
        self.live()
        line = head_known(&self.x.request, HOST)
        return "" if line is NULL else text_of(self.x.request.data + line.value, line.value_length)

    @property
    def route(self):
        """The route's name, or its path where it has none."""
        self.live()
        return self.x.plan.name

    @property
    def parameters(self):
        """What the route's path matched, decoded."""
        cdef dict found = {}
        cdef Exchange x = self.x
        cdef Py_ssize_t i
        self.live()
        names = x.plan.parameters
        for i in range(min(<Py_ssize_t>x.match.n_params, len(names))):
            found[names[i]] = decode(
                x.request.data + x.asked + x.match.params[i].start, x.match.params[i].length)
        return found

    @property
    def consumer(self):
        self.live()
        return self.x.consumer

    @property
    def state(self):
        """What plugins and the handler keep about this exchange, shared among them."""
        self.live()
        if self.x.notes is None:
            self.x.notes = {}
        return self.x.notes.setdefault("state", {})

    @property
    def body(self):
        """The whole body, where somebody on this route has asked for it: None until then."""
        self.live()
        if self.x.body is None and self.x.request_complete and not self.x.request.has_body:
            return b""
        return self.x.body

    def json(self, type=None):
        cdef bytes body = self.body
        if body is None:
            raise ValueError("the body has not been read: take it as an argument of the hook or handler")
        # The body goes on as it came: of two equal names the upstream may take the other.
        try:
            hold_to_rules(body, len(body))
        except BadJson as error:
            raise msgspec.DecodeError(f"{error.what}: {error.path}" if error.path else error.what) from None
        return msgspec.json.decode(body) if type is None else msgspec.json.decode(body, type=type)

    def __repr__(self):
        if self.x is None or self.x.generation != self.generation:
            return "<Request of an exchange that has ended>"
        return f"<Request {self.method} {self.target}>"


cdef int hold_to_content(int status) except -1:
    """Raises ValueError for a status that goes with no content (RFC 9110 section 15)."""
    if status in (204, 205, 304):
        raise ValueError(f"a response with status {status} has no content (RFC 9110 section 15)")
    return 0


cdef class Response(View):
    """A response: one that is made here, or the upstream's on its way to the client."""

    def __init__(self, content=None, status=None, *, headers=None, content_type=None):
        cdef Headers fields = Headers.__new__(Headers)
        if status is None:
            status = 204 if content is None else 200
        if type(status) is not int or not 200 <= status <= 599:
            raise ValueError(f"{status!r} is no status of a final response; expected 200 to 599")
        if content is not None:
            hold_to_content(status)
        self.x = None
        self.code = status
        self.content = content
        fields.own = [] if content_type is None else field_lines([("Content-Type", content_type)])
        fields.own += field_lines(headers)
        fields.of_response = True
        self.fields = fields

    @property
    def status(self):
        if self.x is None:
            return self.code
        self.live()
        return self.x.response.status

    @status.setter
    def status(self, value):
        if type(value) is not int or not 200 <= value <= 599:
            raise ValueError(f"{value!r} is no status of a final response; expected 200 to 599")
        if self.x is None:
            if self.content is not None:
                hold_to_content(value)
            self.code = value
            return
        self.live()
        if self.x.response.has_body:
            hold_to_content(value)
        self.x.response.status = value
        self.x.response.reason_length = 0
        self.x.status = value

    @property
    def headers(self):
        if self.fields is None:
            self.live()
            self.fields = Headers.__new__(Headers)
            self.fields.of_response = True
            bind(self.fields, self.x)
        return self.fields

    @property
    def body(self):
        """Its content: None for an upstream's whose body streams by."""
        self.live()
        return self.content

    @body.setter
    def body(self, value):
        self.live()
        if self.x is not None:
            if self.content is None:
                raise ValueError("this body streams by: only `on_response` has it whole, and can replace it")
            if isinstance(value, str):
                value = value.encode()
            if not isinstance(value, bytes):
                raise TypeError(f"a body of type {type(value).__name__}; expected bytes or str")
            self.replaced = True
        elif value is not None:
            hold_to_content(self.code)
        self.content = value

    def json(self, type=None):
        self.live()
        if not isinstance(self.content, (bytes, bytearray, str)):
            raise ValueError("there is no body here to read")
        return msgspec.json.decode(self.content) if type is None else msgspec.json.decode(
            self.content, type=type)

    def __repr__(self):
        if self.x is not None and self.x.generation != self.generation:
            return "<Response of an exchange that has ended>"
        return f"<Response {self.status}>"
