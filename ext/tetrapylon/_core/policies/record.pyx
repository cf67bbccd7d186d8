"""`record`: a sample of the requests, as they came, goes to a file."""

from libc.stdint cimport uint32_t

from tetrapylon._core.buffer cimport CONTENT_LENGTH, DROPPED, HOP, OURS, TRANSFER_ENCODING, Head, Header
from tetrapylon._core.caching.share cimport Share, falls_in, share_of
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict

import time
from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.units import Share as ShareSetting
from tetrapylon.config.units import Size


class Settings(Struct, frozen=True, kw_only=True):
    """Writes a sample of the requests, redacted, to the file that `record` names, to be sent again."""

    sample: Annotated[ShareSetting, doc("The share of the requests that is recorded.")] = 0.01
    body: Annotated[Size, doc("A body that is larger, or of unknown length, is left out.")] = 65536


cdef tuple FRAMING = (CONTENT_LENGTH, TRANSFER_ENCODING)


cdef class Taken:
    """One request on its way to the file."""
    cdef bytes method
    cdef bytes target
    cdef list fields
    cdef bytes body
    cdef bint bodiless          # it has a body, which is left out
    cdef double at              # s since the epoch


cdef class Record(Policy):
    """Sees the requests as they are where it stands in the list: first of all, as they came."""
    cdef Share share
    cdef str route
    cdef object outbox

    Settings = Settings

    def __init__(self, settings, str route not None, outbox):
        self.share = share_of(settings.sample)
        self.request_limit = settings.body
        self.route = route
        self.outbox = outbox

    @classmethod
    def build(cls, settings, scope):
        return cls(settings, scope.title, scope.outbox)

    @staticmethod
    def check(settings, config):
        if config.admin is None:
            yield (), "nobody would write the file", "give the config an `admin` address: its process does"
        if not settings.sample:
            yield ("sample",), "a share of 0% records nothing", "give one such as 1%, or leave `record` out"

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        if not falls_in(&self.share) or head.upgrade:
            return CONTINUE
        if not head.has_body or x.body is not None:
            self.take(x, False)
            return CONTINUE
        if head.content_length < 0 or <size_t>head.content_length > self.request_limit:
            self.take(x, True)
            return CONTINUE
        return COLLECT

    cdef Verdict whole_request(self, Exchange x) noexcept:
        self.take(x, False)
        return CONTINUE

    cdef void take(self, Exchange x, bint bodiless) noexcept:
        cdef Head* head = &x.request
        cdef Header* line
        cdef uint32_t i
        cdef Taken taken = Taken.__new__(Taken)
        taken.at = time.time()
        taken.method = head.data[head.method:head.method + head.method_length]
        taken.target = head.data[x.asked:x.asked + x.asked_length]
        taken.fields = []
        for i in range(head.count):
            line = &head.headers[i]
            if not line.mark & (DROPPED | HOP | OURS) and line.known not in FRAMING:
                taken.fields.append((head.data[line.name:line.name + line.name_length],
                                     head.data[line.value:line.value + line.value_length]))
        taken.body = x.body
        taken.bodiless = bodiless
        if x.notes is None:
            x.notes = {}
        x.notes[self] = taken

    cdef void end(self, Exchange x) noexcept:
        cdef Taken taken
        if x.notes is None:
            return
        taken = x.notes.pop(self, None)
        if taken is not None:
            self.outbox.record((self.route, taken.at, taken.method, taken.target, taken.fields, taken.body,
                                taken.bodiless, x.status))
