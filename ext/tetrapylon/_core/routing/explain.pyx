# cython: auto_pickle=False
"""Why a request takes the route it takes: one route after the other, without the trie."""

from types import GenericAlias

cimport cython

from tetrapylon._core.routing.path cimport is_int, is_uuid

cdef dict RANK = {"literal": 0, "int": 1, "uuid": 1, "str": 2, "path": 3}


@cython.final
cdef class Candidate:
    __class_getitem__ = classmethod(GenericAlias)
    cdef readonly object route
    cdef readonly bint wins
    cdef readonly str reason

    def __repr__(self):
        return f"<{self.route}: {self.reason}>"


cdef Candidate candidate(object route, str reason, bint wins=False):
    cdef Candidate made = Candidate.__new__(Candidate)
    made.route = route
    made.reason = reason
    made.wins = wins
    return made


def explain(list routes, str method, str path, str host, dict headers, int limit):
    """Candidates in order of precedence, then the nearest of those with another path.

    The first `limit` of them, and the winner wherever it stands. `path` is normal; `host` is bare;
    `headers` has lower-case names and stripped values.
    """
    cdef list segments = path[1:].split("/"), near = [], taking = [], found = []
    cdef object winner = None
    for route in routes:
        depth, reason = path_reason(route.segments, segments)
        if reason is None:
            taking.append(route)
        else:
            near.append((-depth, route.index, route, reason))
    taking.sort(key=precedence)
    for route in taking:
        reason = condition_reason(route, method, host, headers)
        if reason is not None:
            found.append(candidate(route, reason))
        elif winner is None:
            winner = candidate(route, "it takes the request", True)
            found.append(winner)
        else:
            found.append(candidate(route, less_specific(route, winner.route)))
    near.sort(key=distance)
    for _, _, route, reason in near[:max(0, limit - len(found))]:
        found.append(candidate(route, reason))
    if winner is not None and winner not in found[:limit]:
        return found[:limit] + [winner]
    return found[:limit]


cdef object distance(tuple entry):
    return entry[:2]


cdef tuple precedence(object route):
    cdef str host = route.host or ""
    wildcard = host.startswith("*")
    exact = sum([value != "*" for value in route.headers.values()])
    return ([RANK[kind] for kind, _ in route.segments], not host, wildcard, -len(host) if wildcard else 0,
            -len(route.headers), -exact,
            not route.methods, "HEAD" not in route.methods)


# How many segments agree, and what is wrong with the next; None when the path is taken.
cdef tuple path_reason(tuple pattern, list segments):
    cdef Py_ssize_t i, n = len(segments)
    cdef bytes raw
    cdef str segment, kind, text
    for i, (kind, text) in enumerate(pattern):
        if i == n:
            shown = repr(text) if kind == "literal" else f"the parameter {text}"
            return i, f"the path ends where {shown} should follow"
        if kind == "path":
            return i, None
        segment = segments[i]
        raw = segment.encode("ascii")
        if kind == "literal":
            if segment != text:
                return i, f"segment {i + 1} of the path is {segment!r}, not {text!r}"
        elif kind == "int" and not is_int(raw, len(raw)):
            return i, f"segment {i + 1} of the path is {segment!r}, no integer as {text} asks for"
        elif kind == "uuid" and not is_uuid(raw, len(raw)):
            return i, f"segment {i + 1} of the path is {segment!r}, no UUID as {text} asks for"
        elif not segment:
            return i, f"segment {i + 1} of the path is empty; {text} takes at least one character"
    if n > len(pattern):
        return len(pattern), "the path goes on: " + repr("/" + "/".join(segments[len(pattern):]))
    return n, None


cdef str condition_reason(object route, str method, str host, dict headers):
    if route.host is not None:
        wildcard = route.host.startswith("*")
        if not (host.endswith(route.host[1:]) and host != route.host[1:] if wildcard else host == route.host):
            return f"the host is {repr(host) if host else 'not given'}, not {route.host!r}"
    for name, value in route.headers.items():
        if name not in headers:
            return f"the header {name} is missing"
        if value != "*" and headers[name] != value:
            return f"the header {name} is {headers[name]!r}, not {value!r}"
    taken = route.methods
    if taken and method not in taken and not (method == "HEAD" and "GET" in taken):
        return f"the method is {method}, not {' or '.join(taken)}"
    return None


cdef str less_specific(object route, object winner):
    for i, ((kind, text), (won_kind, won_text)) in enumerate(zip(route.segments, winner.segments)):
        if RANK[kind] != RANK[won_kind]:
            return (f"less specific than {winner}: at segment {i + 1} "
                    f"a {WORD[won_kind]} goes before a {WORD[kind]}")
    if route.host != winner.host:
        other = repr(route.host) if route.host else "any host"
        return f"less specific than {winner}: {winner.host!r} goes before {other}"
    if route.headers != winner.headers:
        return f"less specific than {winner}: more header conditions, and values before '*', go first"
    return f"less specific than {winner}: methods that are named go first"


cdef dict WORD = {
    "literal": "literal", "int": "typed parameter", "uuid": "typed parameter", "str": "plain parameter",
    "path": "parameter for the rest",
}
