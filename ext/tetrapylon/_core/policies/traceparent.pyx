"""`traceparent`: W3C trace context, continued or started, and a span of each sampled request."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tetrapylon._core.buffer cimport (
    DROPPED, HOST, OURS, USER_AGENT, Head, Header, head_add, head_known, same_name, same_variable,
)
from tetrapylon._core.exchange cimport FOR_UPSTREAM, Exchange
from tetrapylon._core.http.respond cimport fault_name
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict

import os
import time
from collections import namedtuple
from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.units import Share

cdef enum:
    # version "-" trace-id "-" parent-id "-" trace-flags (W3C Trace Context, 3.2)
    TRACE = 3
    PARENT = 36
    FLAGS = 53
    LENGTH = 55
    SAMPLED = 1


class Settings(Struct, frozen=True, kw_only=True):
    """Continues or starts a trace (W3C Trace Context): upstreams, logs and spans know the request by it.

    Spans of sampled requests are exported where `traces` says.
    """

    accept: Annotated[
        bool,
        doc("Whether to go on with a client's trace, as sampled there; if not, each request begins one."),
    ] = True
    sample: Annotated[Share, doc("The share of the traces begun here that is sampled.")] = 1.0


Span = namedtuple("Span", (
    "trace_id", "span_id", "parent_id", "method", "route", "path", "host", "status", "start_ns", "end_ns",
    "client", "user_agent", "upstream", "upstream_ns", "resend_count", "consumer", "error",
))


cdef inline int digit(char c) noexcept:
    """Lower case alone (3.2.2.1)."""
    if c"0" <= c <= c"9":
        return c - c"0"
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef bint is_hex(const char* s, size_t n, bint* zero) noexcept:
    cdef size_t i
    zero[0] = True
    for i in range(n):
        if digit(s[i]) < 0:
            return False
        if s[i] != c"0":
            zero[0] = False
    return True


cdef bint is_valid(const char* s, size_t n) noexcept:
    """Also of a later version, of which the first four fields are read (3.2.4)."""
    cdef bint zero = False
    if n < LENGTH or s[2] != c"-" or s[35] != c"-" or s[52] != c"-":
        return False
    if not is_hex(s, 2, &zero) or (s[0] == c"f" and s[1] == c"f"):
        return False
    if zero and n != LENGTH or n > LENGTH and s[LENGTH] != c"-":
        return False
    if not is_hex(s + TRACE, 32, &zero) or zero:
        return False
    if not is_hex(s + PARENT, 16, &zero) or zero:
        return False
    return is_hex(s + FLAGS, 2, &zero)


cdef class TraceParent(Policy):
    cdef bint accept
    cdef uint64_t threshold
    cdef uint64_t state
    cdef object put             # takes the Span of a sampled request; None: nobody does

    Settings = Settings

    def __init__(self, settings=Settings(), put=None):  # noqa: B008
        self.accept = settings.accept
        self.threshold = <uint64_t>(settings.sample * <double>(1 << 53))
        self.state = int.from_bytes(os.urandom(8), "little")
        self.put = put

    @classmethod
    def build(cls, settings, scope):
        return cls(settings, scope.spans())

    cdef Verdict request(self, Exchange x) noexcept:
        """The client's trace goes on, with a span of ours in it; or one begins here."""
        cdef Head* head = &x.request
        cdef Header* line
        cdef Header* found = NULL
        cdef char[LENGTH] value
        cdef uint32_t i
        cdef int seen = 0
        cdef uint8_t flags
        for i in range(head.count):
            line = &head.headers[i]
            if line.name_length == 11 and same_variable(head.data + line.name, b"traceparent", 11):
                line.mark |= DROPPED
                seen += 1
                found = line
        value[0] = value[1] = c"0"
        value[2] = value[35] = value[52] = c"-"
        if (self.accept and seen == 1 and is_valid(head.data + found.value, found.value_length)):
            for i in range(TRACE, TRACE + 32):
                value[i] = head.data[found.value + i]
            flags = <uint8_t>digit(head.data[found.value + FLAGS + 1]) & SAMPLED
        else:
            self.forget_state(head)
            self.draw(value + TRACE, 4)
            flags = self.next_word() >> 11 < self.threshold
        self.draw(value + PARENT, 2)
        value[FLAGS] = c"0"
        value[FLAGS + 1] = c"1" if flags else c"0"
        head_add(head, b"traceparent", 11, value, LENGTH, OURS)
        return CONTINUE

    cdef void forget_state(self, Head* head) noexcept:
        """tracestate says nothing without the traceparent that it came with (3.3)."""
        cdef uint32_t i
        for i in range(head.count):
            if (head.headers[i].name_length == 10
                    and same_name(head.data + head.headers[i].name, b"tracestate", 10)):
                head.headers[i].mark |= DROPPED

    cdef void end(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef Header* line
        cdef bytes ours = None, theirs = None
        cdef uint32_t i
        if self.put is None:
            return
        for i in range(head.count):
            line = &head.headers[i]
            if (line.name_length != 11 or line.value_length < LENGTH
                    or not same_variable(head.data + line.name, b"traceparent", 11)):
                continue
            if line.mark & OURS:
                ours = head.data[line.value:line.value + LENGTH]
            else:
                theirs = head.data[line.value:line.value + LENGTH]
        if ours is None or ours[FLAGS + 1] != c"1":
            return
        self.tell(x, ours, theirs)

    cdef void tell(self, Exchange x, bytes ours, bytes theirs) noexcept:
        cdef Head* head = &x.request
        cdef object now = time.time_ns()
        cdef object parent = None
        cdef bytes error = None
        if theirs is not None and theirs[TRACE:35] == ours[TRACE:35]:
            parent = theirs[PARENT:52]
        if x.fault:
            error = <bytes>fault_name(x.fault)
        elif x.reason is not None:
            error = x.reason
        self.put(Span(
            ours[TRACE:35], ours[PARENT:52], parent,
            head.data[head.method:head.method + head.method_length],
            x.plan.name, head.data[x.asked:x.asked + x.path_length], field(head, HOST), x.status,
            now - (time.monotonic_ns() - x.began), now,
            x.client[:x.client_n] if x.client_n else x.peer.address[:x.peer.address_n],
            field(head, USER_AGENT), x.upstream_name, x.spent[<int>FOR_UPSTREAM], x.resends,
            None if x.consumer is None else x.consumer.name, error,
        ))

    cdef uint64_t next_word(self) noexcept:
        """splitmix64 (Steele, Lea and Flood, 2014), seeded by the system: unique, not secret."""
        cdef uint64_t z
        self.state += 0x9E3779B97F4A7C15ULL
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
        return z ^ (z >> 31)

    cdef void draw(self, char* out, int eights) noexcept:
        """Random digits, eight at a time, never all zero."""
        cdef uint64_t z = 0
        cdef int i
        for i in range(8 * eights):
            if i % 16 == 0:
                z = self.next_word() | 1
            out[i] = HEX[z & 15]
            z >>= 4


cdef const char* HEX = b"0123456789abcdef"


cdef bytes field(Head* head, uint8_t known):
    cdef Header* line = head_known(head, known)
    if line is NULL:
        return None
    return head.data[line.value:line.value + line.value_length]
