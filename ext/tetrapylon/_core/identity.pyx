"""Who a request is from: where it shows a credential, what upstreams are told, how it is turned away."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcmp, memcpy

from tetrapylon._core.buffer cimport DROPPED, OURS, Head, Header, head_add, head_copy, head_reserve, same_name
from tetrapylon._core.exchange cimport Consumer, Exchange
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict
from tetrapylon._core.telemetry.counters cimport Slab

REFUSALS = "tetrapylon_policy_refusals_total"


cdef class Place:
    def __init__(self, str kind not None, str name not None, *, str scheme=None, bint strip=False):
        self.kind = {"header": HEADER, "cookie": COOKIE, "query": QUERY}[kind]
        self.name = (name.lower() if self.kind == HEADER else name).encode("latin-1")
        self.scheme = None if scheme is None else scheme.lower().encode("latin-1")
        self.strip = strip

    cdef Found find(self, Exchange x, const char** data, size_t* n) noexcept:
        if self.kind == HEADER:
            return self.in_header(x, data, n)
        if self.kind == COOKIE:
            return self.in_cookie(x, data, n)
        return self.in_query(x, data, n)

    cdef Found in_header(self, Exchange x, const char** data, size_t* n) noexcept:
        """Of `Authorization`, what another scheme shows is not ours to judge."""
        cdef Head* head = &x.request
        cdef Header* line
        cdef Header* found = NULL
        cdef const char* value
        cdef size_t name_n = len(self.name)
        cdef size_t scheme_n, end
        cdef uint32_t i
        for i in range(head.count):
            line = &head.headers[i]
            if (line.name_length == name_n and not line.mark & DROPPED
                    and same_name(head.data + line.name, self.name, name_n)):
                if found is not NULL:
                    return UNCLEAR
                found = line
        if found is NULL:
            return ABSENT
        value = head.data + found.value
        end = found.value_length
        if self.scheme is not None:
            # RFC 9110 section 11.4: a token, blanks, and what belongs to the scheme
            scheme_n = len(self.scheme)
            if end < scheme_n or not same_name(value, self.scheme, scheme_n):
                return ABSENT
            if end == scheme_n:
                return UNCLEAR
            if value[scheme_n] != c" ":
                return ABSENT
            while scheme_n < end and value[scheme_n] == c" ":
                scheme_n += 1
            value += scheme_n
            end -= scheme_n
        if end == 0:
            return UNCLEAR
        if self.strip:
            found.mark |= DROPPED
        data[0] = value
        n[0] = end
        return PRESENT

    cdef Found in_cookie(self, Exchange x, const char** data, size_t* n) noexcept:
        """RFC 6265 section 5.4: pairs between semicolons, in one field or several."""
        cdef Head* head = &x.request
        cdef Header* line
        cdef Found found = ABSENT
        cdef uint32_t i, at, end, start, value = 0, value_n = 0
        cdef size_t name_n = len(self.name)
        for i in range(head.count):
            line = &head.headers[i]
            if line.mark & DROPPED or line.name_length != 6 or not same_name(
                    head.data + line.name, b"cookie", 6):
                continue
            at = line.value
            end = line.value + line.value_length
            while at < end:
                while at < end and (head.data[at] == c" " or head.data[at] == c";"):
                    at += 1
                start = at
                while at < end and head.data[at] != c";":
                    at += 1
                if (at - start > name_n and head.data[start + name_n] == c"="
                        and memcmp(head.data + start, <const char*>self.name, name_n) == 0):
                    if found == PRESENT:
                        return UNCLEAR
                    found = PRESENT
                    value = start + <uint32_t>name_n + 1
                    value_n = at - value
                    while value_n and head.data[value + value_n - 1] == c" ":
                        value_n -= 1
            if found == PRESENT and value >= line.value and value <= end and self.strip:
                if not without_pair(head, line, value - <uint32_t>name_n - 1, value + value_n, c";"):
                    return UNCLEAR
        if found == PRESENT:
            if value_n >= 2 and head.data[value] == c'"' and head.data[value + value_n - 1] == c'"':
                value += 1
                value_n -= 2
            if not value_n:
                return UNCLEAR
            data[0] = head.data + value
            n[0] = value_n
        return found

    cdef Found in_query(self, Exchange x, const char** data, size_t* n) noexcept:
        """The value is copied, and then made unreadable in what the access log writes."""
        cdef Head* head = &x.request
        cdef uint32_t at = head.target, end = head.target + head.target_length
        cdef uint32_t start, value = 0, value_n = 0, pair = 0
        cdef size_t name_n = len(self.name)
        cdef Found found = ABSENT
        cdef int64_t copied
        cdef Header line
        while at < end and head.data[at] != c"?":
            at += 1
        while at < end:
            at += 1
            start = at
            while at < end and head.data[at] != c"&":
                at += 1
            if (at - start > name_n and head.data[start + name_n] == c"="
                    and memcmp(head.data + start, <const char*>self.name, name_n) == 0):
                if found == PRESENT:
                    found = UNCLEAR
                    break
                found = PRESENT
                pair = start
                value = start + <uint32_t>name_n + 1
                value_n = at - value
        if found == ABSENT:
            return ABSENT
        copied = decoded(head, value, value_n)
        if copied < 0:
            blank(head, x.asked, x.asked_length, self.name)
            return UNCLEAR
        n[0] = head.length - <uint32_t>copied
        if self.strip and found == PRESENT:
            line.mark = 0
            line.value = head.target
            line.value_length = head.target_length
            if not without_pair(head, &line, pair, value + value_n, c"&"):
                return UNCLEAR
            if head.data[line.value + line.value_length - 1] == c"?":
                line.value_length -= 1
            head.target = line.value
            head.target_length = line.value_length
        elif x.asked == head.target:
            at = head.length
            if head_copy(head, head.target, head.target_length) < 0:
                return UNCLEAR
            head.target = at
        blank(head, x.asked, x.asked_length, self.name)
        data[0] = head.data + copied
        return found if n[0] else UNCLEAR


cdef int64_t decoded(Head* head, uint32_t start, uint32_t n) noexcept:
    """Append part of a query, percent-decoded; where. -1: it is malformed, or there is no memory."""
    cdef int64_t at = head.length
    cdef uint32_t i = start, end = start + n
    cdef int high, low
    if head_reserve(head, n) < 0:
        return -1
    while i < end:
        if head.data[i] == c"%":
            if end - i < 3:
                return -1
            high = digit(head.data[i + 1])
            low = digit(head.data[i + 2])
            if high < 0 or low < 0:
                return -1
            head.data[head.length] = <char>(high << 4 | low)
            i += 3
        else:
            head.data[head.length] = c" " if head.data[i] == c"+" else head.data[i]
            i += 1
        head.length += 1
    return at


cdef inline int digit(char c) noexcept:
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 0x20
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef bint without_pair(Head* head, Header* line, uint32_t start, uint32_t end, char between) noexcept:
    """Give a line a copy of its value without the pair at `start` to `end`, and one separator at it."""
    cdef uint32_t last = line.value + line.value_length
    cdef uint32_t at = head.length
    while end < last and head.data[end] == c" ":
        end += 1
    if end < last and head.data[end] == between:
        end += 1
        while end < last and head.data[end] == c" ":
            end += 1
    else:
        while start > line.value and (head.data[start - 1] == c" " or head.data[start - 1] == between):
            start -= 1
    if head_copy(head, line.value, start - line.value) < 0 or head_copy(head, end, last - end) < 0:
        return False
    line.value = at
    line.value_length = head.length - at
    if line.value_length == 0:
        line.mark |= DROPPED
    return True


cdef void blank(Head* head, uint32_t start, uint32_t n, bytes name) noexcept:
    """Stars for the values of a query's parameters of that name."""
    cdef uint32_t at = start, end = start + n, pair
    cdef size_t name_n = len(name)
    while at < end and head.data[at] != c"?":
        at += 1
    while at < end:
        at += 1
        pair = at
        while at < end and head.data[at] != c"&":
            at += 1
        if (at - pair > name_n and head.data[pair + name_n] == c"="
                and memcmp(head.data + pair, <const char*>name, name_n) == 0):
            for pair in range(pair + <uint32_t>name_n + 1, at):
                head.data[pair] = c"*"


cdef Found look(tuple places, Exchange x, const char** data, size_t* n) noexcept:
    """The credential in the first of the places that has one; shown in two of them, it is unclear."""
    cdef Found found = ABSENT
    cdef const char* other = NULL
    cdef size_t other_n = 0
    cdef Found next
    cdef uint32_t at = 0
    for place in places:
        if found == ABSENT:
            found = (<Place>place).find(x, data, n)
            if found == PRESENT:
                at = <uint32_t>(data[0] - x.request.data)
        else:
            next = (<Place>place).find(x, &other, &other_n)
            data[0] = x.request.data + at       # the head's bytes may have moved
            if next != ABSENT:
                return UNCLEAR
    return found


cdef struct Line:
    uint32_t name_n
    uint32_t value_n
    const char* name
    const char* value


cdef inline const char* read_line(const char* at, Line* line) noexcept nogil:
    """One of `Known.lines`; gives where the next one begins."""
    memcpy(&line.name_n, at, 4)
    memcpy(&line.value_n, at + 4, 4)
    line.name = at + 8
    line.value = line.name + line.name_n
    return line.value + line.value_n


cdef class Known(Consumer):
    def __init__(self, str name not None, *, groups=(), metadata=None, scopes=(), lines=()):
        """`lines` are (name, value) of header fields for upstreams, as bytes."""
        Consumer.__init__(self, name, groups=groups, metadata=metadata)
        self.scopes = frozenset(scopes)
        self.lines = b"".join([
            len(field).to_bytes(4, "little") + len(value).to_bytes(4, "little") + field + value
            for field, value in lines])


cdef class Denial:
    pass


cdef class Guard(Policy):
    def __init__(self, str policy not None, Slab slab not None):
        self.policy = policy
        self.slab = slab
        self.denials = {}

    def refuses(self, int status, str reason not None, str title not None, str detail not None, *,
                headers=()):
        """Be able to turn requests away for `reason`, a word that the log and the counters have."""
        cdef Denial denial = Denial.__new__(Denial)
        cdef Slab slab = self.slab
        denial.refusal = Refusal(status, reason, title, detail, headers=headers)
        denial.slab = slab
        denial.count = slab.series(REFUSALS, {"policy": self.policy, "reason": reason})
        self.denials[reason] = denial

    cdef Verdict deny(self, Exchange x, str reason) noexcept:
        cdef Denial denial = <Denial>self.denials[reason]
        denial.count[0] += 1
        return refuse(x, denial.refusal)


cdef class Identity(Guard):
    def __init__(self, str policy not None, Slab slab not None, *, bint optional=False):
        Guard.__init__(self, policy, slab)
        self.optional = optional
        self.refuses(503, "memory", "Service Unavailable", "The gateway has no memory left.")

    cdef Verdict admit(self, Exchange x, Known who) noexcept:
        """From here on the request is `who`'s. What an earlier policy told of another is taken back."""
        cdef Head* head = &x.request
        cdef const char* at = who.lines
        cdef const char* end = at + len(who.lines)
        cdef Line line
        if x.consumer is not None:
            forget(head, x.consumer)
        x.consumer = who
        while at < end:
            at = read_line(at, &line)
            if head_add(head, line.name, line.name_n, line.value, line.value_n, OURS) < 0:
                return self.deny(x, "memory")
        return CONTINUE

    cdef Verdict absent(self, Exchange x) noexcept:
        return CONTINUE if self.optional else self.deny(x, "missing")


cdef void forget(Head* head, Consumer who) noexcept:
    cdef const char* at
    cdef const char* end
    cdef Line line
    cdef uint32_t i
    if not isinstance(who, Known):
        return
    at = (<Known>who).lines
    end = at + len((<Known>who).lines)
    while at < end:
        at = read_line(at, &line)
        for i in range(head.count):
            if (head.headers[i].mark & OURS and head.headers[i].name_length == line.name_n
                    and memcmp(head.data + head.headers[i].name, line.name, line.name_n) == 0):
                head.headers[i].mark |= DROPPED
