"""`request_id`: one id for each request, known to the client, the upstream and the log."""

from libc.stdint cimport uint32_t, uint64_t

from tetrapylon._core.buffer cimport (
    DROPPED, NAMED, X_REQUEST_ID, Head, Header, head_add, same_name, same_variable,
)
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict

import os
from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName

cdef enum:
    ID = 32                 # hexadecimal digits


class Settings(Struct, frozen=True, kw_only=True):
    """One id for each request, which the client, the upstream and the access log are told.

    Among the config's own `policies`, it marks all answers: to requests that no route takes, too, or that
    cannot be read. Put it first: what another policy refuses before its turn has no id.
    """

    header: Annotated[HeaderName, doc("The field that holds it, on both sides.")] = "X-Request-Id"
    trust: Annotated[
        bool, doc("Keep the id that a client sends, up to 128 bytes; one of a trusted proxy is kept anyway.")
    ] = False


cdef class RequestId(Policy):
    cdef bytes name
    cdef bytes lower
    cdef bytes dashed           # as CGI and WSGI read it
    cdef uint32_t n             # bytes of it
    cdef bint trust
    cdef uint64_t state

    Settings = Settings
    stamps_all = True

    def __init__(self, settings=Settings()):  # noqa: B008
        self.name = settings.header.encode("ascii")
        self.lower = self.name.lower()
        self.dashed = self.lower.replace(b"_", b"-")
        self.n = <uint32_t>len(self.name)
        self.trust = settings.trust
        self.state = int.from_bytes(os.urandom(8), "little")

    cdef Verdict request(self, Exchange x) noexcept:
        """Keep the id of a client that is believed; otherwise a new one takes the place of whatever came."""
        cdef Head* head = &x.request
        cdef char[ID] fresh
        cdef uint32_t i
        cdef Header* line
        cdef Header* kept = NULL
        for i in range(head.count):
            line = &head.headers[i]
            if line.known == X_REQUEST_ID:
                line.known = NAMED          # the log's is ours, whatever our field is called
            if not self.is_ours(head, line):
                continue
            if (kept is NULL and (self.trust or x.peer.trusted) and 0 < line.value_length <= 128
                    and same_name(head.data + line.name, self.lower, line.name_length)):
                kept = line
            else:
                line.mark |= DROPPED
        if kept is NULL:
            self.draw(fresh)
            if head_add(head, self.name, len(self.name), fresh, ID, 0) < 0:
                return CONTINUE
            kept = &head.headers[head.count - 1]
        kept.known = X_REQUEST_ID
        return CONTINUE

    cdef Verdict response(self, Exchange x) noexcept:
        """Tell the client, whatever the upstream said of it."""
        cdef Head* head = &x.response
        cdef uint32_t i
        for i in range(head.count):
            if self.is_ours(head, &head.headers[i]):
                head.headers[i].mark |= DROPPED
        for i in range(x.request.count):
            if self.is_ours(&x.request, &x.request.headers[i]) and not x.request.headers[i].mark & DROPPED:
                head_add(head, self.name, len(self.name), x.request.data + x.request.headers[i].value,
                         x.request.headers[i].value_length, 0)
                break
        return CONTINUE

    cdef bint is_ours(self, const Head* head, const Header* line) noexcept:
        return (
            line.name_length == self.n
            and same_variable(head.data + line.name, self.dashed, line.name_length)
        )

    cdef void draw(self, char* out) noexcept:
        """128 bits of splitmix64 (Steele, Lea and Flood, 2014), seeded by the system: unique, not secret."""
        cdef uint64_t z
        cdef int half, i
        for half in range(2):
            self.state += 0x9E3779B97F4A7C15ULL
            z = self.state
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
            z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
            z ^= z >> 31
            for i in range(16):
                out[half * 16 + i] = HEX[z & 15]
                z >>= 4


cdef const char* HEX = b"0123456789abcdef"
