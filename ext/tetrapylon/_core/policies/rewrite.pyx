"""`rewrite`: another path or query towards the upstream."""

from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc

from tetrapylon._core.buffer cimport Head, head_append
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.edit cimport out_of_memory
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.http.template cimport URL, VALUE, Template
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict
from tetrapylon._core.routing.path cimport PATH_GROWTH, normalise, path_length

import re
from typing import Annotated
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

from tetrapylon._core.http.template import pieces
from tetrapylon.config.model.base import doc


class Query(Struct, frozen=True, kw_only=True):
    """What happens to the parameters of a query, in this order."""

    remove: Annotated[tuple[str, ...], doc("Parameters to take out; `utm_*` takes all that begin so.")] = ()
    set: Annotated[
        dict[str, str], doc("Parameters that have this value and no other, with variables filled in.")
    ] = {}
    add: Annotated[dict[str, str], doc("Parameters to add to those that are there.")] = {}


class Settings(Struct, frozen=True, kw_only=True):
    """Changes the path and the query that the upstream sees; routes are chosen by what the client sent."""

    match: Annotated[
        str | None, doc("A regular expression (Python's) for the whole path; other paths stay as they are.")
    ] = None
    to: Annotated[
        str | None,
        doc(
            "The new path, and after a `?` a query in place of the client's. Filled in: `{1}` and `{NAME}`,"
            " the groups"
            " of `match`, and the variables of `headers`."
        ),
    ] = None
    strip: Annotated[str, doc("What to take from the beginning of the path, as whole segments.")] = ""
    prefix: Annotated[str, doc("What to put before the path.")] = ""
    query: Annotated[Query, doc("What happens to the query.")] = Query()


cdef class Parameter:
    cdef bytes name             # as it is written in a query, with its `=`
    cdef bytes plain
    cdef Template value


cdef object parameters_of(values, names):
    """Set or added parameters, compiled."""
    cdef Parameter parameter
    found = []
    for name, text in values.items():
        parameter = Parameter.__new__(Parameter)
        parameter.plain = name.encode()
        parameter.name = quote(name, safe="-._~").encode() + b"="
        parameter.value = Template(text, names)
        found.append(parameter)
    return found


def group_names(pattern):
    """The names that an expression gives its groups, by number and by name; with each group's number."""
    names = {str(number): number for number in range(1, pattern.groups + 1)}
    names.update(pattern.groupindex)
    return names


cdef class Rewrite(Policy):
    cdef object pattern         # None: any path
    cdef tuple groups           # the number of each group that `to` can name
    cdef Template to            # None: the path stays
    cdef bint own_query         # `to` has one
    cdef bytes strip
    cdef bytes prefix
    cdef bint edits_query
    cdef list removals          # (name, is it a prefix)
    cdef list settings
    cdef list additions
    cdef Refusal refusal

    Settings = Settings

    def __init__(self, settings, parameters=()):
        self.pattern = None if settings.match is None else re.compile(settings.match.encode())
        names = {} if self.pattern is None else group_names(self.pattern)
        self.groups = tuple(names.values())
        if settings.to is not None:
            self.to = Template(settings.to, parameters, names)
            self.own_query = any("?" in literal for literal, _ in pieces(settings.to) if literal is not None)
        self.strip = settings.strip.rstrip("/").encode()
        self.prefix = settings.prefix.rstrip("/").encode()
        query = settings.query
        self.removals = [(name.removesuffix("*").encode(), name.endswith("*")) for name in query.remove]
        self.settings = parameters_of(query.set, parameters)
        self.additions = parameters_of(query.add, parameters)
        self.edits_query = bool(query.remove or query.set or query.add)
        self.refusal = Refusal(400, "rewrite", "Bad Request", "The route makes no valid path of this one.",
                               error="http_request_error")

    @classmethod
    def build(cls, settings, scope):
        return cls(settings, scope.parameters)

    @staticmethod
    def check(settings, config):
        """Expressions and paths that are none, and settings that do nothing."""
        if settings.match is not None:
            try:
                re.compile(settings.match.encode())
            except re.error as error:
                yield ("match",), f"{settings.match!r} is no regular expression: {error}", "mend it"
            if settings.to is None:
                yield ("match",), "there is no path to make of what it matches", "add `to`"
        if settings.to is not None and not settings.to.startswith(("/", "{path}", "{target}")):
            yield ("to",), f"{settings.to!r} is not a path", "expected one that begins with / or {path}"
        for key in ("strip", "prefix"):
            text = getattr(settings, key)
            if text and (not text.startswith("/") or set(text) & set("?# ")):
                yield (key,), f"{text!r} is not a path", "expected one that begins with /, without a query"
        query = settings.query
        edits = query.remove or query.set or query.add
        if settings.to is None and not (settings.strip or settings.prefix or edits):
            yield (), "it rewrites nothing", "add `to`, `strip`, `prefix` or `query`"

    @staticmethod
    def texts(settings):
        """The templates among the settings: where, what, and the groups that they may name."""
        if settings.to is not None:
            try:
                names = {} if settings.match is None else group_names(re.compile(settings.match.encode()))
            except re.error:
                return
            yield ("to",), settings.to, names
        for kind in ("set", "add"):
            for name, text in getattr(settings.query, kind).items():
                yield ("query", kind, name), text, ()

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef const char* target = head.data + head.target
        cdef size_t path_n = path_length(target, head.target_length)
        cdef bytes path = target[:path_n]
        cdef bytes query = target[path_n:head.target_length]
        cdef tuple groups = None
        cdef object found
        if self.pattern is not None:
            found = self.pattern.fullmatch(path)
            if found is None:
                return CONTINUE
            groups = tuple([found[number] or b"" for number in self.groups])
        if self.strip and path.startswith(self.strip) and path[len(self.strip):][:1] in (b"", b"/"):
            path = path[len(self.strip):] or b"/"
        if self.to is not None:
            if not self.to.expand(x, groups, URL):
                return out_of_memory(x)
            path = self.to.data[:self.to.n]
            if self.own_query:
                path, _, query = path.partition(b"?")
                query = b"?" + query if query else b""
            elif b"?" in path:                  # {target} brings its own
                path, _, query = path.partition(b"?")
                query = b"?" + query
        if self.prefix:
            path = self.prefix + path
        if self.edits_query:
            found = self.edit(x, query)
            if found is None:
                return out_of_memory(x)
            query = found
        return self.put(x, path, query)

    cdef object edit(self, Exchange x, bytes query):
        """The query with its parameters edited; None: no memory."""
        cdef Parameter parameter
        cdef list kept = []
        for pair in query[1:].split(b"&"):
            if not pair:
                continue
            name = unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" "))
            for removed, prefix in self.removals:
                if name == removed or (prefix and name.startswith(removed)):
                    break
            else:
                for parameter in self.settings:
                    if name == parameter.plain:
                        break
                else:
                    kept.append(pair)
        for parameter in self.settings + self.additions:
            if not parameter.value.expand(x, None, VALUE):
                return None
            kept.append(parameter.name + parameter.value.data[:parameter.value.n])
        return b"?" + b"&".join(kept) if kept else b""

    cdef Verdict put(self, Exchange x, bytes path, bytes query) noexcept:
        """Make it the target: normalised anew, so that no `..` comes of two pieces."""
        cdef Head* head = &x.request
        cdef Py_ssize_t n = len(path)
        cdef char* normal = <char*>malloc(PATH_GROWTH * n + 16)
        cdef int64_t at, tail
        cdef int code
        if normal is NULL:
            return out_of_memory(x)
        code = normalise(path, len(path), normal, &n)
        if code < 0:
            free(normal)
            return refuse(x, self.refusal)
        at = head_append(head, <const char*>normal if code > 0 else <const char*>path, n)
        free(normal)
        tail = head_append(head, query, len(query))
        if at < 0 or tail < 0:
            return out_of_memory(x)
        head.target = <uint32_t>at
        head.target_length = <uint32_t>(n + len(query))
        return CONTINUE
