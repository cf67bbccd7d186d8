"""`forward_auth`: another service says whether a request may pass."""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from tetrapylon._core.buffer cimport (
    DROPPED, HOST, OURS, X_FORWARDED_PROTO, Head, Header, head_add, head_known, same_name,
)
from tetrapylon._core.exchange cimport Exchange, Peer, Ticket, current, wait
from tetrapylon._core.http.respond cimport Answer
from tetrapylon._core.identity cimport Identity, Known
from tetrapylon._core.memo cimport Memo
from tetrapylon._core.policy cimport CONTINUE, WAIT, Verdict
from tetrapylon._core.reactor cimport clock
from tetrapylon._core.shared.limits cimport Hash, siphash
from tetrapylon._core.upstreams.call cimport Call

import os
from typing import Annotated

from tetrapylon.config.model.base import Text, Timeout, Token, doc
from tetrapylon.config.model.credentials import Identifies
from tetrapylon.config.net import CheckPath, HeaderName, Method
from tetrapylon.config.units import Duration

cdef enum:
    REMEMBERED = 10000
    LARGEST = 65536         # bytes of the service's answer that a client is shown
    PENDING = 10000


class Settings(Identifies, frozen=True, kw_only=True):
    """Asks a service, which sees chosen header fields of the request and where it goes, no body.

    It is told where it goes in `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`. With a status of
    200 to 299 the request goes on, with the fields of `copy` from the service's answer; with 300 to 499 the
    client gets that answer; anything else, or none, is 503.
    """

    example = "{use: forward_auth, upstream: login, path: /verify, copy: [X-User], cache: 10s}"

    upstream: Annotated[Text, doc("The upstream to ask.")]
    path: Annotated[CheckPath, doc("The path to ask for.")] = "/"
    method: Annotated[Method, doc("The method to ask with.")] = "GET"
    host: Annotated[Token | None, doc("The `Host` to ask for; the upstream's own when left out.")] = None
    send: Annotated[
        tuple[HeaderName, ...],
        doc("The client's fields that the service sees, and that a kept verdict is for."),
    ] = ("Authorization", "Cookie")
    copy: Annotated[
        tuple[HeaderName, ...],
        doc("Fields of its answer that the upstream is told. No client can send them itself."),
    ] = ()
    consumer: Annotated[
        HeaderName | None, doc("The field of its answer that names the consumer; without, there is none.")
    ] = None
    groups: Annotated[HeaderName | None, doc("The field with the consumer's groups, between commas.")] = None
    timeout: Annotated[Timeout, doc("How long it may take.")] = 1.0
    cache: Annotated[
        Duration,
        doc(
            "How long a yes holds, for requests of the same client with the same fields of `send`, method,"
            " host and target; `0s`: not at all."
        ),
    ] = 0.0
    cache_by_target: Annotated[
        bool,
        doc("`false`: a kept yes holds for any method, host and target, where the service looks at none."),
    ] = True


cdef class Yes:
    # What the upstream is told, names and values in turn, and who it is.
    cdef list lines
    cdef Known who


cdef class Asking(Call):
    cdef ForwardAuth policy
    cdef bytes key              # None: its yes is for this request alone
    cdef list waiting           # tickets

    def go(self):
        try:
            self.begin()
        except ValueError:              # more of the client's fields than a request may have
            self.completed()

    cdef void completed(self) noexcept:
        self.policy.heard(self)


cdef class ForwardAuth(Identity):
    cdef object scope           # tetrapylon.compile.Scope
    cdef object plan
    cdef bytes method
    cdef bytes path
    cdef bytes host
    cdef list send              # (name as CGI reads it, name) of the client's fields
    cdef frozenset copy         # names in lower case
    cdef bint by_target
    cdef double cache
    cdef object know            # headers of a yes -> Known, or None
    cdef uint64_t[2] secret     # of the hash by which what was asked is known
    cdef Memo verdicts          # that hash -> Yes
    cdef dict pending           # the same -> Asking

    Settings = Settings
    shared = True

    def __init__(self, settings, scope, bytes host not None, know):
        Identity.__init__(self, "forward_auth", scope.slab)
        self.scope = scope
        self.plan = scope.plan(settings.upstream, total=settings.timeout)
        self.method = settings.method.encode()
        self.path = settings.path.encode()
        self.host = host
        self.send = [(name.lower().replace("_", "-").encode(), name.encode()) for name in settings.send]
        self.copy = frozenset([name.lower().encode() for name in settings.copy])
        self.by_target = settings.cache_by_target
        self.cache = settings.cache
        self.know = know
        self.secret[0] = int.from_bytes(os.urandom(8), "little")
        self.secret[1] = int.from_bytes(os.urandom(8), "little")
        self.verdicts = Memo(REMEMBERED)
        self.pending = {}
        self.refuses(503, "unavailable", "Service Unavailable",
                     "The service that lets requests in does not answer.", headers=[(b"Retry-After", b"1")])
        self.refuses(403, "refused", "Forbidden", "The service that lets requests in refuses this one.")

    @staticmethod
    def build(settings, scope):
        from tetrapylon.identity.forwarding import host, knows

        return ForwardAuth(settings, scope, host(settings, scope.config), knows(settings, scope.config))

    @staticmethod
    def check(settings, config):
        from tetrapylon.identity.forwarding import problems

        yield from problems(settings, config)

    @staticmethod
    def vouches(settings):
        return [*settings.copy, *(settings.headers if settings.consumer is not None else ())]

    cdef Verdict request(self, Exchange x) noexcept:
        cdef list headers = self.about(x)
        cdef bytes key = None
        cdef Asking asking = None
        if self.cache > 0:
            key = self.key_of(x, headers)
            yes = self.verdicts.find(key, len(key), clock())
            if yes is not None:
                return self.let_in(x, <Yes>yes)
            asking = self.pending.get(key)
        if asking is None:
            asking = Asking(self.scope.calls, self.plan, self.method, self.path, headers, limit=LARGEST)
            asking.policy = self
            asking.key = key
            asking.peer = vouching(x)
            asking.waiting = []
            if key is not None:
                self.pending[key] = asking
        elif len(asking.waiting) >= PENDING:
            return self.deny(x, "unavailable")
        asking.waiting.append(wait(x))
        if len(asking.waiting) == 1:
            # The answer cannot come before WAIT is told: a call that fails at once ends in a later turn.
            self.scope.loop.call_soon(asking.go)
        return WAIT

    cdef list about(self, Exchange x):
        """What the service is sent."""
        cdef Head* head = &x.request
        cdef Header* line = head_known(head, HOST)
        cdef list headers = [
            (b"Host", self.host),
            (b"X-Forwarded-Method", head.data[head.method:head.method + head.method_length]),
            (b"X-Forwarded-Uri", head.data[x.asked:x.asked + x.asked_length]),
            (b"X-Forwarded-Host",
             b"" if line is NULL else head.data[line.value:line.value + line.value_length]),
            (b"X-Forwarded-Proto", b"https" if x.peer.tls else b"http"),
        ]
        cdef uint32_t i
        if x.peer.trusted:
            line = head_known(head, X_FORWARDED_PROTO)
            if line is not NULL:
                headers[4] = (b"X-Forwarded-Proto", head.data[line.value:line.value + line.value_length])
        if x.client_n:
            headers.append((b"X-Forwarded-For", x.client[:x.client_n]))
        for lower, name in self.send:
            for i in range(head.count):
                line = &head.headers[i]
                if line.name_length == <uint32_t>len(<bytes>name) and not line.mark & DROPPED and same_name(
                        head.data + line.name, <bytes>lower, line.name_length):
                    headers.append((name, head.data[line.value:line.value + line.value_length]))
        return headers

    cdef bytes key_of(self, Exchange x, list headers):
        """What a yes holds for: a keyed hash of 128 bits, since there are credentials in it."""
        cdef list parts = [x.client[:x.client_n] if x.client_n else x.peer.address[:x.peer.address_n]]
        cdef bytes text
        cdef Hash hash
        for pair in headers if self.by_target else headers[5:]:
            parts += <tuple>pair
        text = b"\n".join(parts)           # no part has a line break
        hash = siphash(self.secret, text, len(text))
        return (<char*>&hash)[:sizeof(hash)]

    cdef Verdict let_in(self, Exchange x, Yes yes) noexcept:
        cdef Head* head = &x.request
        cdef bytes name, value
        cdef Py_ssize_t i
        for i in range(0, len(yes.lines), 2):
            name = <bytes>yes.lines[i]
            value = <bytes>yes.lines[i + 1]
            if head_add(head, name, len(name), value, len(value), OURS) < 0:
                return self.deny(x, "memory")
        return CONTINUE if yes.who is None else self.admit(x, yes.who)

    cdef void heard(self, Asking asking) noexcept:
        """The service's answer, or none."""
        cdef Ticket ticket
        cdef Yes yes = None
        cdef Answer answer = None
        if asking.key is not None:
            self.pending.pop(asking.key, None)
        if 200 <= asking.status < 300:
            yes = self.yes(asking)
        elif 300 <= asking.status < 500:
            answer = Answer(asking.status, body=asking.payload, headers=[
                pair for pair in asking.headers if pair[0].lower() not in FRAMING])
        for waiting in asking.waiting:
            ticket = waiting
            if current(ticket):
                if yes is not None:
                    self.let_in(ticket.exchange, yes)
                elif answer is not None:
                    self.deny(ticket.exchange, "refused")
                    ticket.exchange.answer = answer
                    ticket.exchange.stages.refused(ticket.exchange)
                else:
                    self.deny(ticket.exchange, "unavailable")
            ticket.resume()

    cdef Yes yes(self, Asking asking):
        cdef Yes yes = Yes.__new__(Yes)
        yes.lines = [part for pair in asking.headers if pair[0].lower() in self.copy for part in pair]
        yes.who = self.know(asking.headers)
        if asking.key is not None:
            self.verdicts.put(asking.key, yes, clock() + <unsigned long long>(self.cache * 1e9))
        return yes


cdef Peer vouching(Exchange x):
    """The client's peer as one whose X-Forwarded-* are believed: here they are the gateway's own."""
    cdef Peer peer = Peer.__new__(Peer)
    memcpy(peer.address, x.peer.address, sizeof(peer.address))
    peer.address_n = x.peer.address_n
    peer.tls = x.peer.tls
    peer.trusted = True
    return peer


# What an answer has that the gateway says itself of its own copy.
cdef frozenset FRAMING = frozenset([b"content-length", b"transfer-encoding", b"date", b"trailer"])
