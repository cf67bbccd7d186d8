"""Plugins: policies that are classes of the user's, with hooks at the stages of an exchange."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t

from tetrapylon._core.body cimport set_response_body, unframe
from tetrapylon._core.code.coroutine cimport Carrier
from tetrapylon._core.code.guard cimport Work, begin, end as finish
from tetrapylon._core.code.handler cimport Answerer, Made, problem_text, send_problem
from tetrapylon._core.code.surface cimport Request, Response, field_lines, request_view, response_view
from tetrapylon._core.exchange cimport (
    FOR_UPSTREAM, RESPONSE_CUT, Destination, Exchange, Filter, current, dam_up, install, is_method,
    response_of, still_wanted, wait as ticket_for,
)
from tetrapylon._core.http.respond cimport fault_name
from tetrapylon._core.policy cimport ANSWER, COLLECT, CONTINUE, WAIT, Policy, Verdict
from tetrapylon._core.reactor cimport Reactor, arm, clock, disarm

import msgspec

from tetrapylon.errors import HTTPError

cdef extern from "Python.h":
    bint PyCoro_CheckExact(object o)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an exchange ended; see the stub."""

    status: int
    seconds: float
    upstream_seconds: float
    bytes_in: int
    bytes_out: int
    error: str | None


cdef class Refused(Destination):
    cdef void start(self, Exchange x) noexcept:
        send_problem(x, self.status, self.text, self.headers)


cdef Refused refused(int status, object detail, list errors, object headers):
    """Raises for what cannot be sent."""
    cdef Refused answer = Refused.__new__(Refused)
    answer.status = status
    answer.text = problem_text(status, detail, errors)
    answer.headers = field_lines(headers)
    return answer


cdef class Expiry(Timed):
    cdef void timed_out(self) noexcept:
        cdef Wait wait = self.wait
        cdef Plugin plugin = wait.plugin
        if wait.told:
            return
        if plugin.work.timeouts is not NULL:
            plugin.work.timeouts[0] += 1
        wait.carrier.cancel()
        wait.told = True
        wait.error = TimeoutError(f"{plugin.name} took longer than its timeout")
        wait.settle()


cdef class Wait(Waiter):
    cdef void returned(self, object result) noexcept:
        if self.told:
            return
        self.told = True
        self.result = result
        if self.waiting:
            self.settle()

    cdef void raised(self, object error) noexcept:
        if self.told:
            return
        self.told = True
        self.error = error
        if self.waiting:
            self.settle()

    cdef void settle(self) noexcept:
        """The exchange goes on with what the hook said, unless it has ended meanwhile."""
        cdef Exchange x = self.ticket.exchange
        cdef Reactor reactor = self.plugin.reactor
        disarm(self.expiry)
        self.expiry.wait = None
        reactor.enter()
        if not current(self.ticket):
            self.ticket.resume()
        else:
            if x.notes is not None:
                x.notes.pop(self.plugin, None)
            if self.filter is not None:
                if self.filter.go_on(x, self):
                    self.ticket.resume()
            else:
                if self.error is not None:
                    self.plugin.failed(x, self.error)
                else:
                    self.plugin.judge(x, self.hook, self.response, self.result)
                self.ticket.resume()
        reactor.leave()

    cdef void give_up(self) noexcept:
        disarm(self.expiry)
        self.expiry.wait = None
        if not self.told:
            self.told = True
            self.carrier.cancel()


cdef class Plugin(Policy):
    def __init__(self, str name not None, instance, *, Answerer answerer not None, Reactor reactor not None,
                 Work work not None, dict shared not None, on_request=None, on_head=None, on_body=None,
                 on_response=None, on_end=None, bint takes_body=False, bint open=False,
                 Destination fallback=None, timeout=None, size_t request_limit=1048576,
                 size_t response_limit=1048576):
        """The hooks are bound; `timeout` in seconds is for those that wait. `open`: go on where it fails."""
        self.name = name
        self.instance = instance
        self.answerer = answerer
        self.runner = answerer.runner
        self.reactor = reactor
        self.work = work
        self.shared = shared
        self.on_request = on_request
        self.on_head = on_head
        self.on_body = on_body
        self.on_response = on_response
        self.on_end = on_end
        self.takes_body = takes_body
        self.open = open
        self.fallback = fallback
        self.deadline = NULL if timeout is None else reactor.queue(timeout)
        self.request_limit = request_limit
        self.response_limit = response_limit

    cdef Verdict request(self, Exchange x) noexcept:
        if self.on_request is None:
            return CONTINUE
        if self.takes_body:
            return COLLECT
        return self.ask(x, ON_REQUEST, None, None)

    cdef Verdict whole_request(self, Exchange x) noexcept:
        return self.ask(x, ON_REQUEST, x.body if x.body is not None else b"", None)

    cdef Verdict response(self, Exchange x) noexcept:
        cdef BodyFilter filter
        cdef bint switched = x.response.status == 101       # what follows is no body
        if self.on_response is not None and not switched:
            return COLLECT
        if self.on_body is not None and not switched and x.response.has_body and not is_method(x, b"HEAD", 4):
            unframe(x)
            filter = BodyFilter.__new__(BodyFilter)
            filter.plugin = self
            install(x, filter)
        if self.on_head is None:
            return CONTINUE
        return self.ask(x, ON_HEAD, None, response_view(x, None))

    cdef Verdict whole_response(self, Exchange x, bytes body) noexcept:
        return self.ask(x, ON_RESPONSE, None, response_view(x, body if body is not None else b""))

    cdef object hear(self, Exchange x, Hook hook, object body, Response response):
        cdef Request request = request_view(x, self.shared)
        if hook == ON_REQUEST:
            return self.on_request(request, body) if self.takes_body else self.on_request(request)
        return (self.on_head if hook == ON_HEAD else self.on_response)(request, response)

    cdef Verdict ask(self, Exchange x, Hook hook, object body, Response response) noexcept:
        cdef object result
        cdef Carrier carrier
        cdef Wait waiting
        try:
            begin(self.work)
            try:
                result = self.hear(x, hook, body, response)
            finally:
                finish(self.work)
            if not PyCoro_CheckExact(result):
                return self.judge(x, hook, response, result)
            result = self.runner.run(result, self.work)
        except BaseException as error:
            return self.failed(x, error)
        carrier = self.runner.waiting
        if carrier is None:
            return self.judge(x, hook, response, result)
        waiting = self.wait_for(hook, carrier, response, None)
        if waiting.told:
            if waiting.error is not None:
                return self.failed(x, waiting.error)
            return self.judge(x, hook, response, waiting.result)
        self.hold(x, waiting)
        return WAIT

    cdef Wait wait_for(self, Hook hook, Carrier carrier, Response response, BodyFilter filter):
        """The hook goes on; it may have ended before this returns."""
        cdef Wait waiting = Wait.__new__(Wait)
        waiting.plugin = self
        waiting.hook = hook
        waiting.response = response
        waiting.filter = filter
        waiting.carrier = carrier
        waiting.expiry = Expiry.__new__(Expiry)
        waiting.expiry.wait = waiting
        self.runner.wait(carrier, waiting)
        return waiting

    cdef void hold(self, Exchange x, Wait waiting) noexcept:
        """The exchange waits for the hook, as long as the plugin's timeout lasts."""
        waiting.waiting = True
        waiting.ticket = ticket_for(x)
        if x.notes is None:
            x.notes = {}
        x.notes[self] = waiting
        arm(self.reactor, waiting.expiry, self.deadline)

    cdef Verdict judge(self, Exchange x, Hook hook, Response response, object result) noexcept:
        """What a hook has returned, in the words of the stages."""
        cdef Made made
        try:
            if result is None:
                if response is not None and response.replaced:
                    set_response_body(x, response.content)
                return CONTINUE
            if isinstance(result, Response) and (<Response>result).x is None:
                made = Made.__new__(Made)
                made.response = <Response>result
                made.answerer = self.answerer
                made.work = self.work
                x.answer = made
                x.reason = b"plugin_answered"
                return ANSWER
            raise TypeError(
                f"{self.name} returned {type(result).__name__}; expected None, to go on, or a new Response")
        except BaseException as error:
            return self.failed(x, error)

    cdef Verdict failed(self, Exchange x, object error) noexcept:
        if isinstance(error, HTTPError):
            try:
                x.answer = refused(error.status, error.detail, error.errors, error.headers)
                x.reason = b"plugin_refused"
                return ANSWER
            except Exception as unfit:
                error = unfit
        self.work.raised(error)
        if self.open:
            return CONTINUE
        x.reason = b"plugin_timeout" if isinstance(error, TimeoutError) else b"plugin_failed"
        if self.fallback is not None:
            x.answer = self.fallback
        elif isinstance(error, TimeoutError):
            x.answer = refused(504, "A plugin took too long.", None, None)
        else:
            x.answer = refused(500, "A plugin failed.", None, None)
        return ANSWER

    cdef void end(self, Exchange x) noexcept:
        cdef object waiting = x.notes.pop(self, None) if x.notes is not None else None
        cdef object result
        if waiting is not None:
            (<Wait>waiting).give_up()
        if self.on_end is None:
            return
        try:
            begin(self.work)
            try:
                result = self.on_end(request_view(x, self.shared), outcome_of(x))
            finally:
                finish(self.work)
            if PyCoro_CheckExact(result):
                self.runner.run(result, self.work)
                if self.runner.waiting is not None:
                    self.runner.wait(self.runner.waiting, Afterwards(self.work))
        except BaseException as error:
            self.work.raised(error)


cdef class Afterwards(Waiter):
    """Of an `on_end` that goes on for a while nobody waits; only its failure is told."""

    cdef Work work

    def __init__(self, Work work):
        self.work = work

    cdef void raised(self, object error) noexcept:
        self.work.raised(error)


cdef object outcome_of(Exchange x):
    cdef str error = None
    if x.fault:
        error = (<bytes>fault_name(x.fault)).decode()
    elif x.reason is not None:
        error = x.reason.decode()
    return Outcome(
        status=x.status, seconds=(clock() - x.began) / 1e9, upstream_seconds=x.spent[<int>FOR_UPSTREAM] / 1e9,
        bytes_in=x.bytes_in, bytes_out=x.bytes_out, error=error)


cdef class BodyFilter(Filter):
    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef bytes piece = PyBytes_FromStringAndSize(data, n)
        if not self.waits:
            self.hear(x, piece)
        elif self.queued is None:
            self.queued = [piece]
        else:
            self.queued.append(piece)

    cdef bint hear(self, Exchange x, bytes piece) noexcept:
        """Asks the hook. False: it is waited for, or the response has been cut."""
        cdef Plugin plugin = self.plugin
        cdef object result
        cdef Wait waiting
        self.piece = piece
        try:
            begin(plugin.work)
            try:
                result = plugin.on_body(request_view(x, plugin.shared), piece)
            finally:
                finish(plugin.work)
            if not PyCoro_CheckExact(result):
                return self.judge(x, result)
            result = plugin.runner.run(result, plugin.work)
        except BaseException as error:
            return self.failed(x, error)
        if plugin.runner.waiting is None:
            return self.judge(x, result)
        waiting = plugin.wait_for(ON_BODY, plugin.runner.waiting, None, self)
        if waiting.told:
            return self.settled(x, waiting)
        self.waits = True
        plugin.hold(x, waiting)
        dam_up(x)
        return False

    cdef bint settled(self, Exchange x, Wait waited) noexcept:
        if waited.error is not None:
            return self.failed(x, waited.error)
        return self.judge(x, waited.result)

    cdef bint judge(self, Exchange x, object result) noexcept:
        if result is None:
            self.emit_bytes(x, self.piece)
        elif isinstance(result, bytes):
            self.emit_bytes(x, <bytes>result)
        else:
            return self.failed(x, TypeError(
                f"{self.plugin.name}.on_body returned {type(result).__name__}; expected bytes, or None"))
        return True

    cdef bint failed(self, Exchange x, object error) noexcept:
        """The piece goes on as it came, where the plugin may fail; else the response is cut."""
        self.plugin.work.raised(error)
        if self.plugin.open:
            self.emit_bytes(x, self.piece)
            return True
        x.reason = b"plugin_timeout" if isinstance(error, TimeoutError) else b"plugin_failed"
        x.stages.fail(x, RESPONSE_CUT)
        return False

    cdef bint go_on(self, Exchange x, Wait waited) noexcept:
        """With what the hook said, and what has come meanwhile. True: the exchange goes on too."""
        cdef uint64_t response = response_of(x)
        cdef bytes piece
        self.waits = False
        if not self.settled(x, waited):
            return False
        while self.queued:
            piece = self.queued.pop(0)
            if not still_wanted(x, response) or not self.hear(x, piece):
                return False
        return True
