"""Handlers: users' functions as destinations.

A handler is the origin of what it answers, so its problems (RFC 9457) carry no Proxy-Status, which is for
intermediaries (RFC 9209 section 2).
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t

from tetrapylon._core.body cimport say_continue
from tetrapylon._core.buffer cimport Buffer, Head, head_add, head_length, head_reset
from tetrapylon._core.code.arguments cimport FROM_BODY, FROM_QUERY, FROM_REQUEST, Argument, BadArgument
from tetrapylon._core.code.coroutine cimport Carrier, Runner, Waiter
from tetrapylon._core.code.guard cimport Work, begin, end as finish
from tetrapylon._core.code.surface cimport Request, Response, field_lines, request_view
from tetrapylon._core.exchange cimport (
    BODY_TOO_LARGE, INTERNAL_FAULT, RESPONSE_CUT, Destination, Exchange, Sink, deliver, is_method,
)
from tetrapylon._core.reactor cimport Reactor, clock

from http import HTTPStatus

import msgspec

from tetrapylon.errors import HTTPError

cdef extern from "Python.h":
    bint PyCoro_CheckExact(object o)
    object PyObject_Vectorcall(object callable, PyObject** arguments, size_t n, PyObject* names)

cdef enum:
    ARGUMENTS_MAX = 32
    TURN = 2_000_000            # ns for which a stream that never waits may hold the loop

cdef bytes JSON = b"application/json"
cdef bytes PROBLEM = b"application/problem+json"
cdef bytes TEXT = b"text/plain; charset=utf-8"
cdef bytes BYTES = b"application/octet-stream"
cdef bytes EVENTS = b"text/event-stream"
cdef bytes LINES = b"application/x-ndjson"
cdef object encode = msgspec.json.encode


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One server-sent event; see the stub."""

    data: object
    event: str | None = None
    id: str | None = None
    retry: int | None = None


cdef bytes event_bytes(event):
    """An event's lines (HTML, section 9.2.6)."""
    cdef object data = event.data
    cdef str text = data if isinstance(data, str) else (encode(data)).decode()
    cdef list lines = []
    for name, value in (("event", event.event), ("id", event.id)):
        if value is not None:
            if "\n" in value or "\r" in value or "\0" in value:
                raise ValueError(f"the {name} of an event has a line break or NUL: {value!r}")
            lines.append(f"{name}: {value}")
    if event.retry is not None:
        lines.append(f"retry: {int(event.retry)}")
    lines += [f"data: {line}" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return ("\n".join(lines) + "\n\n").encode()


cdef dict HEADLINES = {
    400: "The body cannot be read.",
    415: "The body is of a type that is not taken here.",
    422: "The request does not fit what is expected here.",
}


cdef str title_of(int status):
    try:
        return HTTPStatus(status).phrase if status != 413 and status != 422 else (
            "Content Too Large" if status == 413 else "Unprocessable Content")
    except ValueError:
        return "Error"


cdef inline int added(int code) except -1:
    if code < 0:
        raise MemoryError
    return 0


cdef class Answerer:
    def __init__(self, Runner runner not None, *, encoder=None):
        self.runner = runner
        self.encode_into = (encoder or msgspec.json.Encoder()).encode_into
        self.buffer = bytearray(4096)

    cdef int answer(self, Exchange x, object result, bint is_json) except -1:
        """Anything but a stream. `is_json`: it is JSON by its annotation, whatever it looks like."""
        cdef Response response
        cdef object content
        if is_json:
            return self.json(x, result, 200, None)
        if result is None:
            return self.send(x, 204, None, None, NULL, 0)
        if isinstance(result, bytes):
            return self.send(x, 200, BYTES, None, PyBytes_AS_STRING(result), PyBytes_GET_SIZE(result))
        if isinstance(result, str):
            content = (<str>result).encode()
            return self.send(x, 200, TEXT, None, PyBytes_AS_STRING(content), PyBytes_GET_SIZE(content))
        if not isinstance(result, Response):
            return self.json(x, result, 200, None)
        response = <Response>result
        if response.x is not None:
            raise TypeError("an upstream's response cannot be returned as a new one")
        content = response.content
        if content is None:
            return self.send(x, response.code, None, response, NULL, 0)
        if isinstance(content, (bytes, bytearray, memoryview)):
            content = bytes(content)
            return self.send(x, response.code, BYTES, response, PyBytes_AS_STRING(content),
                             PyBytes_GET_SIZE(content))
        if isinstance(content, str):
            content = (<str>content).encode()
            return self.send(x, response.code, TEXT, response, PyBytes_AS_STRING(content),
                             PyBytes_GET_SIZE(content))
        return self.json(x, content, response.code, response)

    cdef int json(self, Exchange x, object value, int status, Response response) except -1:
        self.encode_into(value, self.buffer)
        return self.send(x, status, JSON, response, PyByteArray_AS_STRING(self.buffer),
                         PyByteArray_GET_SIZE(self.buffer))

    cdef int head(self, Exchange x, int status, bytes content_type, Response response,
                  Py_ssize_t n) except -1:
        """Fill in the response's head; `n` -1: the length is not known."""
        cdef Head* head = &x.response
        cdef bint typed = False
        cdef bytes name, value
        head_reset(head)
        head.status = status
        if response is not None:
            for name, value in response.fields.own:
                if len(name) == 12 and name.lower() == b"content-type":
                    typed = True
                added(head_add(head, name, len(name), value, len(value), 0))
        if content_type is not None and not typed:
            added(head_add(head, b"Content-Type", 12, content_type, len(content_type), 0))
        if n >= 0 and status != 204 and status != 304:
            added(head_length(head, n))
        head.has_body = n != 0
        return 0

    cdef int send(self, Exchange x, int status, bytes content_type, Response response,
                  const char* data, size_t n) except -1:
        self.head(x, status, content_type, response, n)
        deliver(x, data, n)
        return 0


cdef bytes problem_text(int status, object detail, list errors):
    """The body of a problem (RFC 9457). Raises what JSON cannot be made of."""
    cdef dict told = {"type": "about:blank", "title": title_of(status), "status": status}
    if detail:
        told["detail"] = detail
    if errors:
        told["errors"] = errors
    return encode(told) + b"\n"


cdef void send_problem(Exchange x, int status, bytes text, list headers) noexcept:
    """A problem of a handler's or plugin's own; `headers` as `field_lines` made them, or None."""
    cdef Head* head = &x.response
    cdef bytes name, value
    try:
        head_reset(head)
        head.status = status
        added(head_add(head, b"Content-Type", 12, PROBLEM, len(PROBLEM), 0))
        added(head_length(head, len(text)))
        for name, value in headers or ():
            added(head_add(head, name, len(name), value, len(value), 0))
        head.has_body = True
    except MemoryError:
        x.stages.fail(x, INTERNAL_FAULT)
        return
    deliver(x, text, len(text))


cdef class Made(Destination):
    cdef void start(self, Exchange x) noexcept:
        try:
            self.answerer.answer(x, self.response, False)
        except Exception as error:
            if self.work is not None:
                self.work.raised(error)
            x.reason = b"plugin_failed"
            send_problem(x, 500, problem_text(500, "A plugin failed.", None), None)


cdef class Call(Waiter):
    cdef bint live(self) noexcept:
        return self.x.generation == self.generation and not self.x.over and self.x.attempt is self

    cdef void returned(self, object result) noexcept:
        cdef Exchange x = self.x
        cdef Reactor reactor
        if not self.live():
            return
        reactor = x.stages.reactor
        reactor.enter()
        if self.streaming:
            self.finish_stream()
        else:
            x.attempt = None
            self.handler.settle(x, result)
        reactor.leave()

    cdef void raised(self, object error) noexcept:
        cdef Exchange x = self.x
        cdef Reactor reactor
        if not self.live():
            return
        reactor = x.stages.reactor
        reactor.enter()
        x.attempt = None
        x.destination = None
        if self.streaming and x.response_started:
            self.handler.work.raised(error)
            x.reason = b"handler_failed"
            x.stages.fail(x, RESPONSE_CUT)
        else:
            self.handler.refuse(x, error)
        reactor.leave()

    cdef void finish_stream(self) noexcept:
        cdef Exchange x = self.x
        try:
            if not x.response_started:
                self.handler.answerer.head(x, 200 if self.response is None else self.response.code,
                                           None, self.response, 0)
                x.stages.head(x)
        except MemoryError:
            x.stages.fail(x, INTERNAL_FAULT)
            return
        if self.live():
            x.attempt = None
            x.destination = None
            x.stages.end(x)

    def put(self, item):
        """The next item of the stream goes out; true while more may follow at once."""
        cdef Exchange x = self.x
        cdef bytes data, kind
        cdef Reactor reactor
        if not self.live():
            return False
        reactor = x.stages.reactor
        if isinstance(item, bytes):
            data = <bytes>item
            kind = BYTES
        elif isinstance(item, str):
            data = (<str>item).encode()
            kind = TEXT
        elif isinstance(item, Event):
            data = event_bytes(item)
            kind = EVENTS
        else:
            data = encode(item) + b"\n"
            kind = LINES
        reactor.enter()
        try:
            if not x.response_started:
                self.handler.answerer.head(x, 200 if self.response is None else self.response.code, kind,
                                           self.response, -1)
                if kind is EVENTS:
                    added(head_add(&x.response, b"Cache-Control", 13, b"no-store", 8, 0))
                x.stages.head(x)
                if is_method(x, b"HEAD", 4) and self.live():
                    x.attempt = None
                    x.destination = None
                    x.stages.end(x)
            if data and self.live():
                reactor.keep(data)
                x.stages.body(x, data, len(data))
        finally:
            reactor.leave()
        return self.live() and not self.paused and clock() < self.yields

    def opened(self):
        """A future for when more may follow: true, or false for a stream that nobody takes any more."""
        self.gate = self.handler.runner.loop.create_future()
        if not self.live():
            self.gate.set_result(False)
        elif not self.paused:           # its turn is over: after all others have had theirs
            self.handler.runner.loop.call_soon(self.open)
        return self.gate

    def open(self):
        if self.gate is not None and not self.gate.done() and not self.paused:
            self.yields = clock() + TURN
            self.gate.set_result(True)


async def pump(Call call, iterator):
    """Everything that the iterator yields, as fast as the client takes it and others get their turns."""
    try:
        async for item in iterator:
            if not call.put(item) and not await call.opened():
                break
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


cdef class Intake(Sink):
    # Between the end of a call and that of its exchange there is none.

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        cdef Call call = <Call>x.attempt
        if call is None or call.pieces is None:
            return
        if call.pieces.end - call.pieces.start + n > self.handler.body_limit:
            x.stages.fail(x, BODY_TOO_LARGE)
            return
        try:
            call.pieces.append(data, n)
        except MemoryError:
            x.stages.fail(x, INTERNAL_FAULT)

    cdef void end(self, Exchange x) noexcept:
        cdef Call call = <Call>x.attempt
        cdef Buffer pieces = call.pieces if call is not None else None
        x.trailers = NULL
        if pieces is None:
            return
        call.pieces = None
        x.destination = None
        x.attempt = None
        x.body = pieces.data[pieces.start:pieces.end] if pieces.end > pieces.start else b""
        self.handler.invoke(x)

    cdef void pause(self, Exchange x) noexcept:
        cdef Call call = <Call>x.attempt
        if call is not None:
            call.paused = True

    cdef void resume(self, Exchange x) noexcept:
        cdef Call call = <Call>x.attempt
        if call is None:
            return
        call.paused = False
        call.open()


cdef class Handler(Destination):
    def __init__(self, str name not None, function not None, arguments, *, Answerer answerer not None,
                 Work work not None, keywords=(), bint plain_json=False, size_t body_limit=1048576,
                 dict shared=None):
        """`arguments`: one for each parameter; the last ones, named by `keywords`, are given by name."""
        cdef Argument each
        self.name = name
        self.function = function
        self.arguments = tuple(arguments)
        self.keywords = tuple(keywords) or None
        if len(self.arguments) > ARGUMENTS_MAX:
            raise ValueError(f"{name} has more than {ARGUMENTS_MAX} parameters")
        for each in self.arguments:
            self.wants_body = self.wants_body or each.place == FROM_BODY
            self.wants_request = self.wants_request or each.place == FROM_REQUEST or each.place == FROM_QUERY
        self.plain_json = plain_json
        self.body_limit = body_limit
        self.shared = {} if shared is None else shared
        self.answerer = answerer
        self.runner = answerer.runner
        self.work = work
        self.intake = Intake.__new__(Intake)
        self.intake.handler = self

    cdef void start(self, Exchange x) noexcept:
        cdef Call call
        if not self.wants_body or x.body is not None or not x.request.has_body:
            self.invoke(x)
            return
        if x.request.content_length > <int64_t>self.body_limit:
            x.stages.fail(x, BODY_TOO_LARGE)
            return
        call = self.new_call(x)
        call.pieces = Buffer()
        x.attempt = call
        x.destination = self.intake
        if x.request.expect_continue:
            say_continue(x)
        x.source.resume(x)

    cdef Call new_call(self, Exchange x):
        cdef Call call = Call.__new__(Call)
        call.handler = self
        call.x = x
        call.generation = x.generation
        return call

    cdef void cancel(self, Exchange x) noexcept:
        cdef Call call
        if x.attempt is None:
            return
        call = <Call>x.attempt
        x.attempt = None
        x.destination = None
        if call.carrier is not None:
            call.carrier.cancel()

    cdef void invoke(self, Exchange x) noexcept:
        cdef uint32_t generation = x.generation
        cdef object result
        cdef Carrier carrier = None
        cdef Call call
        try:
            result = self.call(x)
            if PyCoro_CheckExact(result):
                result = self.runner.run(result, self.work)
                carrier = self.runner.waiting
        except BaseException as error:
            if not x.over and x.generation == generation:
                self.refuse(x, error)
            return
        if x.over or x.generation != generation:
            if carrier is not None:
                self.runner.wait(carrier, None)
                carrier.cancel()
            return
        if carrier is None:
            self.settle(x, result)
            return
        call = self.new_call(x)
        call.carrier = carrier
        x.attempt = call
        self.runner.wait(carrier, call)

    cdef object call(self, Exchange x):
        """What the function returns. Raises BadArgument where the request does not fit it."""
        cdef PyObject* given[ARGUMENTS_MAX]
        cdef Py_ssize_t n = 0, named = 0 if self.keywords is None else len(self.keywords)
        cdef Request request = request_view(x, self.shared) if self.wants_request else None
        cdef object value
        begin(self.work)
        try:
            for each in self.arguments:
                value = (<Argument>each).take(x, request)
                Py_INCREF(value)
                given[n] = <PyObject*>value
                n += 1
            return PyObject_Vectorcall(
                self.function, given, n - named, <PyObject*>self.keywords if named else NULL)
        finally:
            finish(self.work)
            while n:
                n -= 1
                Py_DECREF(<object>given[n])

    cdef object explained(self, Exchange x, BadArgument first):
        """Everything that is wrong, not just the first."""
        cdef Request request = request_view(x, self.shared) if self.wants_request else None
        cdef list errors = []
        cdef int status = first.status
        for each in self.arguments:
            try:
                (<Argument>each).take(x, request)
            except BadArgument as error:
                if error.status != 422:
                    status = error.status
                told = {"in": error.place}
                if error.name:
                    told["field"] = error.name
                told["detail"] = error.detail
                errors.append(told)
        return BadArguments(status, HEADLINES[status], errors)

    cdef void settle(self, Exchange x, object result) noexcept:
        """Answer with what the function returned."""
        cdef Response response = None
        cdef uint32_t generation = x.generation
        try:
            if not self.plain_json:
                if isinstance(result, Response):
                    response = <Response>result
                    if response.x is None and hasattr(response.content, "__anext__"):
                        self.stream(x, response.content, response)
                        return
                elif hasattr(result, "__anext__"):
                    self.stream(x, result, None)
                    return
            self.answerer.answer(x, result, self.plain_json)
        except BaseException as error:
            if not x.over and x.generation == generation:
                self.refuse(x, error)

    cdef void stream(self, Exchange x, object iterator, Response response) noexcept:
        cdef Call call = self.new_call(x)
        cdef Carrier carrier = None
        call.streaming = True
        call.response = response
        call.paused = x.congested
        call.yields = clock() + TURN
        x.attempt = call
        x.destination = self.intake
        try:
            self.runner.run(pump(call, iterator), self.work)
            carrier = self.runner.waiting
        except BaseException as error:
            call.raised(error)
            return
        if carrier is None:
            call.returned(None)
            return
        call.carrier = carrier
        if not call.live():
            self.runner.wait(carrier, None)
            carrier.cancel()
            return
        self.runner.wait(carrier, call)

    cdef void refuse(self, Exchange x, object error) noexcept:
        """The function, or what came before it, has raised."""
        cdef bytes text
        cdef list headers
        if isinstance(error, (BadArgument, HTTPError)) and not x.response_started:
            try:
                if isinstance(error, BadArgument):
                    error = self.explained(x, error)
                text = problem_text(error.status, error.detail, error.errors)
                headers = field_lines(error.headers)
                send_problem(x, error.status, text, headers)
                return
            except Exception as unfit:
                error = unfit
        self.work.raised(error)
        x.reason = b"handler_failed"
        if x.response_started:
            x.stages.fail(x, RESPONSE_CUT)
        else:
            send_problem(x, 500, problem_text(500, "The handler failed.", None), None)


class BadArguments(Exception):
    """All that is wrong with a request's arguments."""

    def __init__(self, status, detail, errors):
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = {}
