"""`redirect`: to TLS, to the one host, to the one spelling of a path, or elsewhere."""

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.edit cimport add_line, drop_lines, out_of_memory
from tetrapylon._core.http.fields cimport Piece
from tetrapylon._core.http.respond cimport Answer, Refusal, refuse
from tetrapylon._core.http.template cimport URL, Template, host_of, is_secure
from tetrapylon._core.policy cimport ANSWER, CONTINUE, Policy, Verdict

import re
from typing import Annotated, Literal

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import ServerName


class Settings(Struct, frozen=True, kw_only=True):
    """Answers with a redirect where the request came by another scheme, host or spelling than it should."""

    https: Annotated[bool, doc("Whether requests that came without TLS are sent to `https://`.")] = False
    port: Annotated[int, doc("The port of `https://`.", ge=1, le=65535)] = 443
    host: Annotated[ServerName | None, doc("The one host; requests for others are sent there.")] = None
    trailing_slash: Annotated[
        Literal["keep", "add", "remove"],
        doc("What becomes of a `/` at the end of the path; `/` itself stays."),
    ] = "keep"
    match: Annotated[
        str | None,
        doc("A regular expression (Python's) for the whole path; what it matches is sent to `to`."),
    ] = None
    to: Annotated[
        str | None,
        doc(
            "A path or URL, after which the client's query follows unless it has one. Filled in: `{1}` and"
            " `{NAME}`, the"
            " groups of `match`, and the variables of `headers`."
        ),
    ] = None
    status: Annotated[Literal[301, 302, 303, 307, 308], doc("The status code.")] = 308


cdef class Redirect(Policy):
    cdef bint https
    cdef bytes port             # as it follows the host; empty for 443
    cdef bytes host             # None: any
    cdef bint add_slash
    cdef bint remove_slash
    cdef object pattern
    cdef tuple groups
    cdef Template to
    cdef Answer answer
    cdef Refusal no_host

    Settings = Settings

    def __init__(self, settings, parameters=()):
        self.https = settings.https
        self.port = b"" if settings.port == 443 else f":{settings.port}".encode()
        self.host = None if settings.host is None else settings.host.encode("ascii")
        self.add_slash = settings.trailing_slash == "add"
        self.remove_slash = settings.trailing_slash == "remove"
        names = {}
        if settings.match is not None:
            self.pattern = re.compile(settings.match.encode())
            names = {str(number): number for number in range(1, self.pattern.groups + 1)}
            names.update(self.pattern.groupindex)
        self.groups = tuple(names.values())
        if settings.to is not None:
            self.to = Template(settings.to, parameters, names)
        self.answer = Answer(settings.status)
        self.no_host = Refusal(400, "no_host", "Bad Request", "Without a Host there is no URL to go to.",
                               error="http_request_error")

    @classmethod
    def build(cls, settings, scope):
        return cls(settings, scope.parameters)

    @staticmethod
    def check(settings, config):
        """Expressions that are none, halves of a pair, and settings that do nothing."""
        if settings.match is not None:
            try:
                re.compile(settings.match.encode())
            except re.error as error:
                yield ("match",), f"{settings.match!r} is no regular expression: {error}", "mend it"
        if (settings.match is None) != (settings.to is None):
            one, other = ("to", "match") if settings.match is None else ("match", "to")
            yield (one,), f"it needs `{other}` beside it", f"add `{other}`"
        if settings.to is not None and (
            not settings.to.startswith(("/", "http://", "https://", "{path}", "{target}"))
            or settings.to.startswith("//")
        ):
            what = f"{settings.to!r} is neither a path nor a URL"
            yield ("to",), what, "expected /PATH, http://... or https://..."
        if (settings.to is None and settings.host is None and not settings.https
                and settings.trailing_slash == "keep"):
            yield (), "it redirects nothing", "add `https`, `host`, `trailing_slash`, or `match` with `to`"

    @staticmethod
    def texts(settings):
        """The templates among the settings: where, what, and the groups that they may name."""
        if settings.to is not None and settings.match is not None:
            try:
                pattern = re.compile(settings.match.encode())
            except re.error:
                return
            yield ("to",), settings.to, {*map(str, range(1, pattern.groups + 1)), *pattern.groupindex}

    cdef Verdict request(self, Exchange x) noexcept:
        cdef bytes path
        if self.pattern is not None:
            path = (x.request.data + x.asked)[:x.path_length]
            if self.pattern.fullmatch(path) is not None:
                x.answer = self.answer
                return ANSWER
        if (self.https and not is_secure(x)) or self.other_host(x):
            if host_of(x, False).n == 0 and self.host is None:
                return refuse(x, self.no_host)
        elif not self.other_slash(x):
            return CONTINUE
        x.answer = self.answer
        return ANSWER

    cdef bint other_host(self, Exchange x) noexcept:
        cdef Piece host
        if self.host is None:
            return False
        host = host_of(x, False)
        return host.data[:host.n].lower() != self.host

    cdef bint other_slash(self, Exchange x) noexcept:
        """Has the path a slash at its end too many, or too few?"""
        cdef const char* path = x.request.data + x.asked
        cdef size_t n = x.path_length
        if n < 2:
            return False
        return self.remove_slash if path[n - 1] == c"/" else self.add_slash

    cdef Verdict response(self, Exchange x) noexcept:
        cdef bytes location
        if x.answer is not self.answer:
            return CONTINUE
        location = self.location(x)
        if location is None:
            return out_of_memory(x)
        drop_lines(&x.response, b"location")
        return CONTINUE if add_line(
            &x.response, b"Location", location, len(location)) == 0 else out_of_memory(x)

    cdef bytes location(self, Exchange x):
        cdef Head* head = &x.request
        cdef bytes path = (head.data + x.asked)[:x.path_length]
        cdef bytes query = (head.data + x.asked)[x.path_length:x.asked_length]
        cdef bytes to
        cdef Piece host = host_of(x, not self.https)
        cdef object found
        if self.pattern is not None:
            found = self.pattern.fullmatch(path)
            if found is not None:
                if not self.to.expand(x, tuple([found[number] or b"" for number in self.groups]), URL):
                    return None
                to = self.to.data[:self.to.n]
                if to.startswith(b"/"):
                    # `//` and `/\` begin an authority to browsers: a path never leaves this host.
                    to = b"/" + to.lstrip(b"/\\")
                return to if b"?" in to else to + query
        if self.other_slash(x):
            path = path.rstrip(b"/") if self.remove_slash else path + b"/"
        if not ((self.https and not is_secure(x)) or self.other_host(x)):
            return path + query
        to = self.host if self.host is not None else host.data[:host.n]
        if self.https or is_secure(x):
            return b"https://" + to + self.port + path + query
        return b"http://" + to + path + query
