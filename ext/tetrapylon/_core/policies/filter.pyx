"""`filter`: methods, paths and queries that a route does not take."""

from tetrapylon._core.buffer cimport Head
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.respond cimport Refusal, refuse
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict
from tetrapylon._core.routing.path cimport path_length

import re
from typing import Annotated, Literal
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import Method


class Settings(Struct, frozen=True, kw_only=True):
    """Refuses requests by their method, path and query."""

    methods: Annotated[
        tuple[Method, ...], doc("The only methods taken, 405 for others; all when left out.")
    ] = ()
    deny_paths: Annotated[
        tuple[str, ...],
        doc(
            "Regular expressions that are looked for in the path, percent-decoded once; what has one is"
            " refused."
        ),
    ] = ()
    deny_queries: Annotated[tuple[str, ...], doc("The same, of the query.")] = ()
    query: Annotated[
        tuple[str, ...] | None, doc("The only names of query parameters that are taken; any when left out.")
    ] = None
    max_parameters: Annotated[int, doc("How many parameters a query has at most.", ge=0, le=100_000)] = 100
    status: Annotated[Literal[400, 403, 404], doc("The status for what is refused by path or query.")] = 403


cdef object together(words):
    """One expression for all, or None; matched against bytes that may be anything."""
    if not words:
        return None
    return re.compile(b"|".join([b"(?:" + word.encode() + b")" for word in words]), re.IGNORECASE)


cdef class Filter(Policy):
    cdef frozenset methods      # empty: all
    cdef object paths
    cdef object queries
    cdef frozenset names        # None: any
    cdef Py_ssize_t most
    cdef Refusal bad_method
    cdef Refusal bad_path
    cdef Refusal bad_query

    Settings = Settings

    def __init__(self, settings=Settings()):  # noqa: B008
        self.methods = frozenset([method.encode() for method in settings.methods])
        self.paths = together(settings.deny_paths)
        self.queries = together(settings.deny_queries)
        self.names = None if settings.query is None else frozenset([name.encode() for name in settings.query])
        self.most = settings.max_parameters
        title = {400: "Bad Request", 403: "Forbidden", 404: "Not Found"}[settings.status]
        self.bad_method = Refusal(
            405, "method", "Method Not Allowed", "The route does not take this method; see Allow.",
            headers=[(b"Allow", ", ".join(settings.methods).encode())])
        self.bad_path = Refusal(settings.status, "path", title, "The route does not take this path.")
        self.bad_query = Refusal(settings.status, "query", title, "The route does not take this query.")

    @staticmethod
    def check(settings, config):
        """Expressions that are none."""
        for kind in ("deny_paths", "deny_queries"):
            for index, word in enumerate(getattr(settings, kind)):
                try:
                    re.compile(word.encode())
                except re.error as error:
                    what = f"{word!r} is no regular expression: {error}"
                    yield (kind, index), what, "escape what is meant literally"
                else:
                    if not word:
                        yield (kind, index), "an empty expression is in everything", "leave it out"

    cdef Verdict request(self, Exchange x) noexcept:
        cdef Head* head = &x.request
        cdef const char* target = head.data + head.target
        cdef size_t n = path_length(target, head.target_length)
        cdef bytes query
        cdef list pairs
        if self.methods and (head.data + head.method)[:head.method_length] not in self.methods:
            return refuse(x, self.bad_method)
        if self.paths is not None and self.paths.search(unquote_to_bytes(target[:n])) is not None:
            return refuse(x, self.bad_path)
        if n + 1 >= head.target_length:
            return CONTINUE
        query = target[n + 1:head.target_length]
        if self.queries is not None and self.queries.search(
                unquote_to_bytes(query.replace(b"+", b" "))) is not None:
            return refuse(x, self.bad_query)
        pairs = query.split(b"&")
        if len(pairs) > self.most:
            return refuse(x, self.bad_query)
        if self.names is not None:
            for pair in pairs:
                if pair and unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")) not in self.names:
                    return refuse(x, self.bad_query)
        return CONTINUE
