"""`validate`: requests, and answers, that are not what was agreed."""

from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport int64_t, uint64_t

from tetrapylon._core.buffer cimport Buffer, Head
from tetrapylon._core.code.json_rules cimport BadJson, hold_to_rules
from tetrapylon._core.code.surface cimport Request, request_view
from tetrapylon._core.exchange cimport Exchange, Filter, install, is_method
from tetrapylon._core.http.edit cimport drop_lines
from tetrapylon._core.http.fields cimport Piece, content_coding, is_json, media_type
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.policy cimport COLLECT, CONTINUE, Policy, Verdict
from tetrapylon._core.telemetry.counters cimport Slab

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from tetrapylon.config.model.base import Text, doc
from tetrapylon.config.net import MediaType
from tetrapylon.config.schemas import Agreed, StatusKey
from tetrapylon.config.units import Size


class Settings(Struct, frozen=True, kw_only=True):
    """Holds requests, and answers if wanted, to types of yours, to JSON Schemas or to an OpenAPI document.

    All that is wrong with a request is told at once, in a problem whose `errors` name place and field: 422
    for what does not fit; 400 for a body that is no JSON, has a name twice in one object, is nested deeper
    than 64 levels or is no UTF-8; 415 for one that does not say it is JSON; 413 for one that is too large.

    `tetrapylon[schema]` brings what JSON Schemas need.
    """

    body: Annotated[Agreed | None, doc("What the request's body is.")] = None
    query: Annotated[
        Agreed | None, doc("What the query is: its parameters, texts made into what is expected.")
    ] = None
    headers: Annotated[
        Agreed | None, doc("What the header fields are; underscores of names stand for dashes.")
    ] = None
    cookies: Annotated[Agreed | None, doc("What the cookies are; others may be there too.")] = None
    path: Annotated[Agreed | None, doc("What the parameters of the route's path are.")] = None
    openapi: Annotated[
        Text | None, doc("An OpenAPI 3 document, YAML or JSON, that says all of it, for `operation`.")
    ] = None
    operation: Annotated[Text | None, doc("Its `operationId`, or method and path: `GET /users/{id}`.")] = None
    required: Annotated[bool, doc("A request must have a body, where `body` says what it is.")] = True
    content_types: Annotated[
        tuple[MediaType, ...], doc("Bodies of these types pass as well, unread: `multipart/form-data`.")
    ] = ()
    limit: Annotated[Size, doc("How large a body may be that is validated; larger: 413.", le=2**30)] = 2**20
    answers: Annotated[
        Literal["pass", "report", "enforce"],
        doc(
            "What becomes of answers that are not what `responses` says: they pass, are logged and counted,"
            " or are refused with 502, for which each is held until it is whole."
        ),
    ] = "pass"
    responses: Annotated[
        dict[StatusKey, Agreed], doc("What an answer's body is, by status: `200`, `4XX`, `default`.")
    ] = {}


# What has an upstream answer with less than all of it, or coded (RFC 9110 sections 12.5.3 and 14).
cdef tuple PARTLY = (b"accept-encoding", b"if-range", b"range")
cdef dict TITLES = {400: "Bad Request", 415: "Unsupported Media Type", 422: "Unprocessable Content",
                    502: "Bad Gateway"}
cdef dict DETAILS = {
    400: "The body cannot be read.",
    415: "The body is of a type that is not taken here.",
    422: "The request does not fit what is expected here.",
    502: "The upstream's answer is not what was agreed.",
}
cdef dict REASONS = {400: "malformed", 415: "media_type", 422: "unfit", 502: "unfit_answer"}


cdef Refusal BROKEN = Refusal(500, "validation_failed", "Internal Server Error",
                              "This gateway could not validate it.", error="proxy_internal_error")


cdef class Validate(Policy):
    cdef object body            # bytes, the JSON -> list of errors; None: not looked at
    cdef object parameters      # Request -> list of errors; None
    cdef dict responses         # status as text -> what looks at such an answer
    cdef bint required
    cdef bint enforces
    cdef bint reports
    cdef frozenset content_types
    cdef object tell            # called with the route, the status and the errors of an answer
    cdef object broke           # called with an exception of a type of the user's
    cdef Slab slab

    Settings = Settings

    def __init__(self, settings not None, checks not None, Slab slab not None, *, tell, broke):
        """`checks` is a tetrapylon.messages.validation.Checks."""
        self.body = checks.body
        self.parameters = checks.parameters
        self.responses = checks.responses
        self.required = settings.required
        self.enforces = settings.answers == "enforce"
        self.reports = settings.answers == "report"
        self.content_types = frozenset(settings.content_types)
        self.tell = tell
        self.broke = broke
        self.request_limit = self.response_limit = settings.limit
        self.slab = slab

    @classmethod
    def build(cls, settings, scope):
        from tetrapylon.messages.validation import Teller, checks

        teller = Teller()
        return cls(settings, checks(settings, scope.parameters), scope.slab, tell=teller.unfit,
                   broke=teller.broke)

    @staticmethod
    def resolve(settings):
        from tetrapylon.messages.validation import resolved

        return resolved(settings)

    @staticmethod
    def check(settings, config):
        from tetrapylon.messages.validation import problems

        yield from problems(settings)

    cdef Verdict request(self, Exchange x) noexcept:
        if self.enforces or self.reports:
            for name in PARTLY:
                drop_lines(&x.request, <bytes>name)
        if self.body is not None and x.request.has_body and not self.passes_unread(x):
            return COLLECT
        return self.judge(x, b"")

    cdef Verdict whole_request(self, Exchange x) noexcept:
        return self.judge(x, x.body if x.body is not None else b"")

    cdef bint passes_unread(self, Exchange x) noexcept:
        return bool(self.content_types) and spelled(&x.request) in self.content_types

    cdef Verdict judge(self, Exchange x, bytes body) noexcept:
        try:
            return self.judged(x, body)
        except BaseException as error:      # of a type of the user's: what was not looked at does not pass
            self.broke(error)
            return refuse(x, BROKEN)

    cdef Verdict judged(self, Exchange x, bytes body) except *:
        cdef list errors = []
        cdef int status = 422
        cdef Request request
        if self.parameters is not None:
            request = request_view(x, None)
            errors = self.parameters(request)
        if self.body is not None and not self.passes_unread(x):
            if not body:
                if self.required:
                    errors.append({"in": "body", "detail": "is missing"})
            else:
                kind = not_json(&x.request)
                if kind is not None:
                    status = 415
                    errors.append({"in": "body", "detail": kind})
                else:
                    found = unreadable(body)
                    if found is not None:
                        status = 400
                        errors.append(found)
                    else:
                        errors += self.body(body)
        if not errors:
            return CONTINUE
        return self.refused(x, status, errors)

    cdef Verdict refused(self, Exchange x, int status, list errors) except *:
        cdef Refusal refusal = Refusal(status, REASONS[status], TITLES[status], DETAILS[status],
                                       error="http_request_error" if status < 500 else "http_protocol_error")
        cdef uint64_t* count
        refusal.body = msgspec.json.encode({
            "type": "about:blank", "title": TITLES[status], "status": status, "detail": DETAILS[status],
            "reason": REASONS[status], "errors": errors}) + b"\n"
        count = self.slab.series(
            "tetrapylon_policy_refusals_total", {"policy": "validate", "reason": REASONS[status]})
        count[0] += 1
        return refuse(x, refusal)

    # Answers

    cdef object agreed(self, int status):
        """What looks at answers with that status, or None."""
        for key in (str(status), f"{status // 100}XX", "default"):
            if key in self.responses:
                return self.responses[key]
        return None

    cdef Verdict response(self, Exchange x) noexcept:
        cdef Reading reading
        if (not self.enforces and not self.reports) or is_method(x, b"HEAD", 4):
            return CONTINUE
        if x.response.status in (101, 204, 304) or self.agreed(x.response.status) is None:
            return CONTINUE
        if self.enforces:
            return COLLECT
        if x.response.content_length > <int64_t>self.response_limit:
            return CONTINUE
        reading = Reading.__new__(Reading)
        reading.policy = self
        reading.said = Buffer()
        reading.kind = not_json(&x.response)
        reading.status = x.response.status
        install(x, reading)
        return CONTINUE

    cdef Verdict whole_response(self, Exchange x, bytes body) noexcept:
        cdef list errors
        try:
            errors = self.unfit(x.response.status, not_json(&x.response), body)
            if not errors:
                return CONTINUE
            self.tell(x.plan.name, x.response.status, errors)
            return self.refused(x, 502, errors)
        except BaseException as error:
            self.broke(error)
            return refuse(x, BROKEN)

    cdef list unfit(self, int status, str kind, bytes body):
        """What is wrong with an answer; `kind` as `not_json` has it."""
        if kind is not None:
            return [{"in": "answer", "detail": kind}]
        found = unreadable(body) if body else {"detail": "is missing"}
        if found is not None:
            found["in"] = "answer"
            return [found]
        return self.agreed(status)(body)


cdef class Reading(Filter):
    # Listens in on an answer that streams by, up to the policy's limit.
    cdef Validate policy
    cdef Buffer said
    cdef str kind
    cdef int status

    cdef void body(self, Exchange x, const char* data, size_t n) noexcept:
        if self.said is not None:
            if self.said.end - self.said.start + n > self.policy.response_limit:
                self.said = None
            else:
                try:
                    self.said.append(data, n)
                except MemoryError:
                    self.said = None
        self.emit(x, data, n)

    cdef void end(self, Exchange x) noexcept:
        cdef uint64_t* count
        cdef list errors
        if self.said is None:
            return
        try:
            errors = self.policy.unfit(
                self.status, self.kind, self.said.data[:self.said.end] if self.said.end else b"")
        except BaseException as error:
            self.policy.broke(error)
            return
        if errors:
            self.policy.tell(x.plan.name, self.status, errors)
            count = self.policy.slab.series("tetrapylon_unfit_answers_total", {"route": x.plan.name})
            count[0] += 1


cdef object unreadable(bytes body):
    """Why a body is no JSON that can be taken, or None."""
    try:
        hold_to_rules(body, len(body))
        msgspec.json.decode(body, type=msgspec.Raw)
    except BadJson as error:
        return {"in": "body", "field": error.path, "detail": error.what} if error.path else {
            "in": "body", "detail": error.what}
    except msgspec.MsgspecError as error:
        return {"in": "body", "detail": str(error)}
    except RecursionError:
        return {"in": "body", "detail": "the JSON is nested too deeply"}
    return None


cdef str spelled(const Head* head):
    """The media type in lower case; empty: none."""
    cdef Piece type = media_type(head)
    return PyUnicode_DecodeLatin1(type.data, min(type.n, <size_t>200), NULL).lower()


cdef str not_json(const Head* head):
    """Why a body is not JSON that can be read; None: it is."""
    cdef Piece coding = content_coding(head)
    if not is_json(media_type(head)):
        return f"expected application/json, not {spelled(head) or 'none'}"
    if coding.n:
        given = PyUnicode_DecodeLatin1(coding.data, min(coding.n, <size_t>100), NULL)
        return f"expected no Content-Encoding, not {given}"
    return None
