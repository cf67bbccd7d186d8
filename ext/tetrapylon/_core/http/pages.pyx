"""Bodies of one's own for the errors that the gateway answers with, chosen by status and Accept."""

from libc.stdint cimport uint32_t

from tetrapylon._core.buffer cimport DROPPED, X_REQUEST_ID, Head, Header, head_known, same_name
from tetrapylon._core.exchange cimport Exchange

import json
import re

VARIABLES = ("status", "title", "detail", "reason", "request_id", "route")

cdef enum Escape:
    PLAIN
    MARKUP
    JSON_STRING

cdef enum:
    RANGES = 32             # of an Accept field, that are looked at
    LONGEST_ID = 128

VARIABLE = re.compile(r"\{(" + "|".join(VARIABLES) + r")\}")
QUALITY = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


cdef class Page:
    def __init__(self, str type not None, str body not None, *, statuses=()):
        """`type` is a media type without parameters. In `body`, the VARIABLES stand in braces."""
        media, _, subtype = type.lower().partition("/")
        self.statuses = frozenset(statuses)
        self.kind = media.encode("ascii")
        self.subtype = subtype.encode("ascii")
        self.is_json = subtype == "json" or subtype.endswith("+json")
        if self.is_json:
            self.escape = JSON_STRING
        elif subtype in ("html", "xml") or subtype.endswith("+xml"):
            self.escape = MARKUP
        else:
            self.escape = PLAIN
        self.content_type = (type + ("; charset=utf-8" if media == "text" else "")).encode("ascii")
        pieces = VARIABLE.split(body)
        self.parts = [piece if i % 2 else piece.encode() for i, piece in enumerate(pieces) if piece]

    cdef bytes fill(self, Exchange x, int status, bytes title, bytes detail, bytes reason):
        cdef list made = []
        for part in self.parts:
            if isinstance(part, bytes):
                made.append(part)
                continue
            if part == "status":
                value = str(status)
            elif part == "title":
                value = title.decode()
            elif part == "detail":
                value = detail.decode()
            elif part == "reason":
                value = reason.decode()
            elif part == "request_id":
                value = request_id(x)
            else:
                value = x.plan.name if x.plan is not None else ""
            made.append(escaped(value, self.escape).encode())
        return b"".join(made)


cdef str escaped(str value, int escape):
    if escape == JSON_STRING:
        quoted = json.dumps(value)
        return quoted[1:len(quoted) - 1]
    value = CONTROLS.sub("", value)
    if escape == MARKUP:
        for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
            value = value.replace(char, entity)
    return value


cdef str request_id(Exchange x):
    """As the log has it: a client may have chosen it, so it is bounded, and escaped by who writes it."""
    cdef Head* head = &x.request
    cdef Header* line = head_known(head, X_REQUEST_ID)
    if line is NULL or line.mark & DROPPED or line.value_length > LONGEST_ID:
        return ""
    return head.data[line.value:line.value + line.value_length].decode("latin-1")


cdef bytes accepted(Exchange x):
    """The Accept fields, as one (RFC 9110 section 5.3); None: there is none."""
    cdef Head* head = &x.request
    cdef Header* line
    cdef uint32_t i
    cdef bytes found = None
    for i in range(head.count):
        line = &head.headers[i]
        if line.name_length == 6 and same_name(head.data + line.name, b"accept", 6):
            value = head.data[line.value:line.value + line.value_length]
            found = value if found is None else found + b"," + value
    return found


def parse_accept(bytes accept not None):
    """[(type, subtype, quality)] of what can be read of it (RFC 9110 section 12.5.1)."""
    found = []
    for part in accept.lower().split(b",")[:RANGES]:
        media, *parameters = part.split(b";")
        kind, slash, subtype = media.strip().partition(b"/")
        if not slash:
            continue
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition(b"=")
            if name.strip() == b"q":
                quality = float(value) if QUALITY.fullmatch(value.strip()) else 0.0
        found.append((kind, subtype.strip(), quality))
    return found


cdef tuple rate(list ranges, bytes kind, bytes subtype):
    """(quality, how specific the range is that says so): the most specific one counts."""
    quality, specific = 0.0, -1
    for given_kind, given_subtype, given in ranges:
        if given_kind == kind and given_subtype == subtype:
            rank = 2
        elif given_kind == kind and given_subtype == b"*":
            rank = 1
        elif given_kind == b"*" and given_subtype == b"*":
            rank = 0
        else:
            continue
        if rank > specific:
            quality, specific = given, rank
    return quality, specific


cdef class Pages:
    def __init__(self, pages):
        self.pages = tuple(pages)

    cdef bint any_for(self, int status) noexcept:
        for page in self.pages:
            if not (<Page>page).statuses or status in (<Page>page).statuses:
                return True
        return False

    cdef Page choose(self, Exchange x, int status):
        """What the client likes best. Without a preference that is JSON: the config's, or the gateway's."""
        cdef bytes accept = accepted(x)
        cdef list ranges = [(b"*", b"*", 1.0)] if accept is None else parse_accept(accept)
        cdef Page page
        best = None
        best_rank = (*rate(ranges, b"application", b"problem+json"), 1)
        if best_rank[0] == 0:
            best_rank = (0.0, 3, 1)     # better than what the client refuses as well
        for each in self.pages:
            page = <Page>each
            if page.statuses and status not in page.statuses:
                continue
            rank = (*rate(ranges, page.kind, page.subtype), 2 if page.is_json else 0)
            if rank > best_rank:
                best, best_rank = page, rank
        return best
