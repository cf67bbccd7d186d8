"""From a request to the arguments of a handler."""

from cpython.long cimport PyLong_FromLongLong
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint32_t

from tetrapylon._core.buffer cimport CONTENT_TYPE, DROPPED, Head, Header, head_find, head_known, same_name
from tetrapylon._core.code.json_rules cimport BadJson, hold_to_rules
from tetrapylon._core.code.surface cimport Query, Request
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.fields cimport Piece, content_coding, is_json, media_type
from tetrapylon._core.http.pairs cimport cookie_value
from tetrapylon._core.routing.path cimport decode

import re

import msgspec

cdef object ValidationError = msgspec.ValidationError
cdef object DecodeError = msgspec.DecodeError
cdef object convert = msgspec.convert

# "Expected `int`, got `str` - at `$.items[0].n`"; "... - at `key` in `$.items`".
cdef object TOLD = re.compile(r"(.*?)(?: - at `(key` in `)?\$([^`]*)`)?", re.DOTALL).fullmatch
cdef tuple OF_FIELDS = (
    ("Object missing required field ", "is missing"), ("Object contains unknown field ", "is not expected"),
)
cdef dict PLACES = {
    "path": FROM_PATH, "query": FROM_QUERY, "header": FROM_HEADER, "cookie": FROM_COOKIE, "body": FROM_BODY,
    "request": FROM_REQUEST,
}
cdef dict KINDS = {
    "text": AS_TEXT, "int": AS_INT, "float": AS_FLOAT, "bool": AS_BOOL, "type": AS_TYPE, "bytes": AS_BYTES,
}
cdef dict PLACE_NAMES = {FROM_PATH: "path", FROM_QUERY: "query", FROM_HEADER: "header", FROM_COOKIE: "cookie",
                         FROM_BODY: "body"}


cdef class BadArgument(Exception):
    def __init__(self, int status, str place, str name, str detail):
        super().__init__(detail)
        self.status = status
        self.place = place
        self.name = name
        self.detail = detail


def told(error):
    """What msgspec says is wrong, and of which field; see the stub."""
    cdef str what, key, where, name
    what, key, where = TOLD(str(error)).groups("")
    where = where.removeprefix(".")
    for pattern, said in OF_FIELDS:
        name = what.removeprefix(pattern)
        if name != what:
            name = name.strip("`")
            return said, f"{where}.{name}" if where else name
    return f"of a key: {what}" if key else what, where


cdef class Argument:
    def __init__(self, str name not None, str place not None, str kind not None, *, key=None,
                 Py_ssize_t index=0, type=None, bint many=False, bint required=True, default=None,
                 factory=None):
        self.name = name
        self.place = PLACES[place]
        self.kind = KINDS[kind]
        self.label = key or name
        self.key = self.label.encode()
        if self.place == FROM_HEADER:
            self.key = self.key.lower()
        self.index = index
        self.type = type
        self.many = many
        self.required = required
        self.default = default
        self.factory = factory
        if self.place == FROM_BODY and self.kind == AS_TYPE:
            self.decode = msgspec.json.Decoder(type).decode

    cdef object missing(self):
        if self.required:
            raise BadArgument(
                422, PLACE_NAMES[self.place], "" if self.place == FROM_BODY else self.label, "is missing")
        return self.default if self.factory is None else self.factory()

    cdef object number(self, const char* text, size_t n):
        """Decimal digits with a sign, as JSON has them; up to 18 of them without Python."""
        cdef long long value = 0
        cdef size_t i = 0
        cdef bint negative = n > 1 and text[0] == c"-"
        if negative:
            i = 1
        if n - i < 1 or n - i > 18:
            return self.made_of(PyUnicode_DecodeLatin1(text, n, NULL))
        for i in range(i, n):
            if not c"0" <= text[i] <= c"9":
                return self.made_of(PyUnicode_DecodeLatin1(text, n, NULL))
            value = value * 10 + (text[i] - c"0")
        return PyLong_FromLongLong(-value if negative else value)

    cdef object made_of(self, str text):
        if self.kind == AS_TEXT:
            return text
        try:
            return convert(text, self.type, strict=False)
        except ValidationError as error:
            raise BadArgument(422, PLACE_NAMES[self.place], self.label, told(error)[0]) from None

    cdef object made_of_many(self, list texts):
        try:
            return convert(texts, self.type, strict=False)
        except ValidationError as error:
            what, where = told(error)
            raise BadArgument(422, PLACE_NAMES[self.place], self.label + where, what) from None

    cdef object take(self, Exchange x, Request request):
        cdef const char* text = NULL
        cdef size_t n = 0
        cdef Header* line
        cdef Head* head = &x.request
        cdef list found
        cdef uint32_t i
        if self.place == FROM_PATH:
            text = head.data + x.asked + x.match.params[self.index].start
            n = x.match.params[self.index].length
            if self.kind == AS_INT:
                return self.number(text, n)
            return self.made_of(decode(text, n))
        if self.place == FROM_BODY:
            return self.body(x)
        if self.place == FROM_REQUEST:
            return request
        if self.place == FROM_QUERY:
            found = (<Query>request.query).parsed().get(self.label)
            if found is None:
                return self.missing()
            return self.made_of_many(found) if self.many else self.made_of(<str>found[0])
        if self.place == FROM_HEADER:
            if self.many:
                found = []
                for i in range(head.count):
                    line = &head.headers[i]
                    if (line.name_length == <uint32_t>len(self.key) and not line.mark & DROPPED
                            and same_name(head.data + line.name, self.key, len(self.key))):
                        found.append(PyUnicode_DecodeLatin1(head.data + line.value, line.value_length, NULL))
                return self.made_of_many(found) if found else self.missing()
            line = head_find(head, self.key, len(self.key))
            if line is NULL:
                return self.missing()
            if self.kind == AS_INT:
                return self.number(head.data + line.value, line.value_length)
            return self.made_of(PyUnicode_DecodeLatin1(head.data + line.value, line.value_length, NULL))
        if not cookie_value(head, self.key, &text, &n):
            return self.missing()
        if self.kind == AS_INT:
            return self.number(text, n)
        return self.made_of(PyUnicode_DecodeLatin1(text, n, NULL))

    cdef object body(self, Exchange x):
        cdef bytes body = x.body if x.body is not None else b""
        cdef Header* line = head_known(&x.request, CONTENT_TYPE)
        cdef Piece coding
        if self.kind == AS_BYTES:
            return body if body or self.required else self.missing()
        if self.kind == AS_TEXT:
            if not body and not self.required:
                return self.missing()
            try:
                return body.decode()
            except UnicodeDecodeError as error:
                raise BadArgument(400, "body", "", f"the text is not UTF-8 at byte {error.start}") from None
        if not body:
            return self.missing()
        if not is_json(media_type(&x.request)):
            given = "without a Content-Type" if line is NULL else PyUnicode_DecodeLatin1(
                x.request.data + line.value, min(<size_t>line.value_length, <size_t>100), NULL)
            raise BadArgument(415, "body", "", f"expected application/json, not {given}")
        coding = content_coding(&x.request)
        if coding.n:
            given = PyUnicode_DecodeLatin1(coding.data, min(coding.n, <size_t>100), NULL)
            raise BadArgument(415, "body", "", f"expected no Content-Encoding, not {given}")
        try:
            hold_to_rules(body, len(body))
            return self.decode(body)
        except BadJson as error:
            raise BadArgument(400, "body", error.path, error.what) from None
        except ValidationError as error:
            what, where = told(error)
            raise BadArgument(422, "body", where, what) from None
        except DecodeError as error:
            raise BadArgument(400, "body", "", str(error)) from None
        except RecursionError:
            raise BadArgument(400, "body", "", "the JSON is nested too deeply") from None
