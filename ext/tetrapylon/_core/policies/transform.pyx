"""`transform`: JSON bodies rewritten by config, on the way in and on the way out."""

from cpython.bytes cimport PyBytes_FromStringAndSize

from tetrapylon._core.body cimport set_request_body, set_response_body
from tetrapylon._core.buffer cimport DROPPED, Head, Header, head_find
from tetrapylon._core.code.json_edit cimport Edit, Slice, checked, edited, find, with_default
from tetrapylon._core.code.json_rules cimport BadJson, hold_to_rules
from tetrapylon._core.exchange cimport Exchange, is_method
from tetrapylon._core.http.edit cimport add_line, drop_lines, out_of_memory
from tetrapylon._core.http.fields cimport is_json, media_type
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from tetrapylon._core.code.json_edit import make_edit, split
from tetrapylon.config.changes import Change
from tetrapylon.config.model.base import doc
from tetrapylon.config.units import Size

cdef object PIECE = re.compile(r"([^{}]+)|(\{\{|\}\})|\{([^{}]+)\}")
# Of a body as the upstream has it, whole (RFC 9110 section 14, RFC 9530).
cdef tuple PARTLY = (b"accept-encoding", b"if-range", b"range")
cdef tuple DIGESTS = (b"content-digest", b"content-md5", b"digest", b"repr-digest")


class Settings(Struct, frozen=True, kw_only=True):
    """Rewrites JSON: requests before the upstream sees them, answers with 2xx before the client does.

    Nothing is decoded: what stays is copied, to the last digit. A body that is to be rewritten is held until
    it is whole; all others stream by.
    """

    request: Annotated[Change | None, doc("What becomes of requests.")] = None
    response: Annotated[Change | None, doc("What becomes of answers with a status of 200 to 299.")] = None
    other: Annotated[
        Literal["pass", "refuse"],
        doc("Bodies that do not say they are JSON pass as they are, or are refused: 415, 502 for answers."),
    ] = "pass"
    limit: Annotated[
        Size, doc("How large a body may be that is rewritten; larger: 413, and 502 for answers.", le=2**30)
    ] = 2**20


cdef Refusal MALFORMED = Refusal(400, "malformed", "Bad Request", "The body is not JSON that can be taken.",
                                 error="http_request_error")
cdef Refusal MEDIA_TYPE = Refusal(415, "media_type", "Unsupported Media Type", "The body is not JSON.",
                                  error="http_request_error")
cdef Refusal UNFIT_ANSWER = Refusal(502, "unfit_answer", "Bad Gateway",
                                    "The upstream's answer is not JSON that can be taken.",
                                    error="http_protocol_error")


cdef class Rewriting:
    # A Change, compiled.
    cdef Edit edit
    cdef list defaults          # (path, JSON)
    cdef list template          # bytes, a path for a value, [bytes and paths] for a text; None: none
    cdef bytes wrap             # the member's name as JSON, or None

    def __init__(self, change not None):
        self.edit = make_edit(change.pick, change.drop, change.rename)
        self.defaults = [(split(path), msgspec.json.encode(value)) for path, value in change.default.items()]
        if change.template is not msgspec.UNSET:
            self.template = []
            compile_template(change.template, self.template)
        self.wrap = None if change.wrap is None else msgspec.json.encode(change.wrap)

    cdef bytes apply(self, bytes text):
        """Checked JSON, rewritten."""
        cdef list pieces
        if self.edit is not None:
            text = edited(self.edit, text)
        for path, value in self.defaults:
            text = with_default(text, <tuple>path, <bytes>value)
        if self.template is not None:
            pieces = []
            for each in self.template:
                if isinstance(each, bytes):
                    pieces.append(each)
                elif isinstance(each, tuple):
                    pieces.append(value_of(text, <tuple>each))
                else:
                    pieces.append(msgspec.json.encode("".join(
                        [part if isinstance(part, str) else text_of(text, <tuple>part) for part in each])))
            text = b"".join(pieces)
        if self.wrap is not None:
            text = b"{%b:%b}" % (self.wrap, text)
        return text


cdef bytes value_of(bytes text, tuple path):
    cdef Slice found
    return PyBytes_FromStringAndSize(found.data, found.n) if find(text, path, &found) else b"null"


cdef str text_of(bytes text, tuple path):
    """A string's text, a number as it is written, and of null and what is missing nothing."""
    cdef bytes value = value_of(text, path)
    if value == b"null":
        return ""
    return msgspec.json.decode(value) if value[0] == c'"' else value.decode()


def pieces(str text not None):
    """The pieces of a string in a template: texts, and paths as tuples. Raises ValueError."""
    found = []
    end = 0
    while end < len(text):
        match = PIECE.match(text, end)
        if match is None:
            raise ValueError(f"a stray brace in {text!r}; a path is written {{path}}, a brace {{{{ or }}}}")
        if match[3] is not None:
            if not all(split(match[3])):
                raise ValueError(f"{match[0]} has an empty name; expected one such as {{address.city}}")
            found.append(split(match[3]))
        else:
            found.append(match[1] or match[2][0])
        end = match.end()
    return found


cdef int compile_template(object value, list out) except -1:
    """Neighbouring bytes are put together as they come."""
    cdef list found
    cdef bint first = True
    if isinstance(value, str):
        found = pieces(value)
        if len(found) == 1 and isinstance(found[0], tuple):
            out.append(found[0])
            return 0
        if any([isinstance(each, tuple) for each in found]):
            out.append(found)
            return 0
        put(out, msgspec.json.encode("".join(found)))
    elif isinstance(value, dict):
        put(out, b"{")
        for name, each in value.items():
            put(out, (b"" if first else b",") + msgspec.json.encode(str(name)) + b":")
            compile_template(each, out)
            first = False
        put(out, b"}")
    elif isinstance(value, (list, tuple)):
        put(out, b"[")
        for each in value:
            if not first:
                put(out, b",")
            compile_template(each, out)
            first = False
        put(out, b"]")
    else:
        put(out, msgspec.json.encode(value))
    return 0


cdef int put(list out, bytes literal) except -1:
    cdef Py_ssize_t last = len(out) - 1
    if last >= 0 and isinstance(out[last], bytes):
        out[last] = <bytes>out[last] + literal
    else:
        out.append(literal)
    return 0


cdef class Transform(Policy):
    cdef Rewriting incoming
    cdef Rewriting outgoing
    cdef bint refuses

    Settings = Settings

    def __init__(self, settings not None):
        self.incoming = None if settings.request is None else Rewriting(settings.request)
        self.outgoing = None if settings.response is None else Rewriting(settings.response)
        self.refuses = settings.other == "refuse"
        self.request_limit = self.response_limit = settings.limit

    @staticmethod
    def check(settings, config):
        from tetrapylon.messages.changes import problems

        if settings.request is None and settings.response is None:
            yield (), "nothing is rewritten", "give `request`, `response` or both"
        for place in ("request", "response"):
            change = getattr(settings, place)
            if change is not None:
                for path, what, hint in problems(change, pieces):
                    yield (place, *path), what, hint

    cdef Verdict request(self, Exchange x) noexcept:
        if self.outgoing is not None:
            for name in PARTLY:
                drop_lines(&x.request, <bytes>name)
        if self.incoming is None or not x.request.has_body:
            return CONTINUE
        if is_json(media_type(&x.request)):
            return COLLECT
        return refuse(x, MEDIA_TYPE) if self.refuses else CONTINUE

    cdef Verdict whole_request(self, Exchange x) noexcept:
        if not x.body:
            return CONTINUE
        try:
            hold_to_rules(x.body, len(x.body))
            set_request_body(x, self.incoming.apply(checked(x.body)))
        except (BadJson, ValueError):
            return refuse(x, MALFORMED)
        except MemoryError:
            return out_of_memory(x)
        return CONTINUE

    cdef Verdict response(self, Exchange x) noexcept:
        if self.outgoing is None or not 200 <= x.response.status < 300 or x.response.status == 204:
            return CONTINUE
        if not is_json(media_type(&x.response)):
            return refuse(x, UNFIT_ANSWER) if self.refuses and x.response.has_body else CONTINUE
        if is_method(x, b"HEAD", 4):
            drop_lines(&x.response, b"content-length")      # that of the body as it was
            return self.marked(x)
        if x.response.status == 206:
            return refuse(x, UNFIT_ANSWER)
        return COLLECT

    cdef Verdict whole_response(self, Exchange x, bytes body) noexcept:
        if not body:
            return CONTINUE
        try:
            set_response_body(x, self.outgoing.apply(checked(body)))
            self.mark(&x.response)
        except ValueError:
            return refuse(x, UNFIT_ANSWER)
        except MemoryError:
            return out_of_memory(x)
        return CONTINUE

    cdef Verdict marked(self, Exchange x) noexcept:
        try:
            self.mark(&x.response)
        except MemoryError:
            return out_of_memory(x)
        return CONTINUE

    cdef int mark(self, Head* head) except -1:
        """What told of the body as it was: digests go, a strong ETag becomes weak (RFC 9110, 8.8.1)."""
        cdef Header* line = head_find(head, b"etag", 4)
        cdef bytes tag
        for name in DIGESTS:
            drop_lines(head, <bytes>name)
        if line is not NULL and line.value_length and head.data[line.value] == c'"':
            tag = b"W/" + head.data[line.value:line.value + line.value_length]
            line.mark |= DROPPED
            if add_line(head, b"ETag", tag, len(tag)) < 0:
                raise MemoryError
        return 0
