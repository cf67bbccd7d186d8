# cython: wraparound=True
import re

from tetrapylon._core.routing.path import BadPath, normalise_path

from tetrapylon._core.routing.pack cimport MARK_INT, MARK_PLAIN, MARK_REST, MARK_UUID, MAX_KEY
from tetrapylon._core.routing.path cimport is_normal
from tetrapylon._core.routing.trie cimport MAX_HOST, MAX_PARAMS, MAX_SEGMENTS

cdef dict MARKS = {
    "int": (b"\0" + bytes([MARK_INT]), "int"),
    "uuid": (b"\0" + bytes([MARK_UUID]), "uuid"),
    "": (b"\0" + bytes([MARK_PLAIN]), "str"),
    "path": (b"\0" + bytes([MARK_REST]), "path"),
}
cdef tuple STANDARD = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
# RFC 9110 5.6.2
cdef object TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
cdef object LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?").fullmatch
cdef object ADDRESS6 = re.compile(r"\[[0-9a-f:.]+\]").fullmatch
# RFC 9110 5.5: a field value has no controls, and white space around it is not part of it.
cdef object FIELD_VALUE = re.compile(
    r"([\x21-\x7e\x80-\xff]([\t \x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
).fullmatch


class RouteError(ValueError):
    """A route that is malformed or can never match. `field` names the argument of `Router.add` at fault."""

    def __init__(self, message, field=""):
        super().__init__(message)
        self.field = field


cdef object bad_path(str path, str problem):
    return RouteError(f"path {path!r}: {problem}", "path")


cdef tuple parse_path(object path):
    cdef bytes joined
    cdef list key = [], params = [], kinds = [], segments
    cdef str text, segment
    if not isinstance(path, str):
        raise TypeError(f"path: expected a str, got {type(path).__name__}")
    text = path
    if not text.startswith("/"):
        raise bad_path(text, "a path starts with '/'")
    segments = text[1:].split("/")
    if len(segments) > MAX_SEGMENTS:
        raise bad_path(text, f"more than {MAX_SEGMENTS} segments")
    last = len(segments) - 1
    for index, segment in enumerate(segments):
        if "{" not in segment and "}" not in segment:
            key.append(literal(text, segment, index == last))
            continue
        name, kind = parameter(text, segment)
        if name in params:
            raise bad_path(text, f"the parameter {name!r} appears twice")
        if kind == "path" and index != last:
            raise bad_path(text, f"{segment} takes the rest of the path, so nothing can follow it")
        mark, kind = MARKS[kind]
        key.append(mark)
        params.append(name)
        kinds.append(kind)
    if len(params) > MAX_PARAMS:
        raise bad_path(text, f"more than {MAX_PARAMS} parameters")
    joined = b"".join(key)
    if len(joined) > MAX_KEY:
        raise RouteError(f"path '{text[:40]}...': longer than {MAX_KEY} bytes", "path")
    return joined, tuple(params), tuple(kinds)


cdef tuple parameter(str path, str segment):
    inner = segment[1:-1]
    if not (segment.startswith("{") and segment.endswith("}")) or "{" in inner or "}" in inner:
        raise bad_path(path, f"{segment!r} is neither a literal nor one parameter: a parameter is a whole "
                             "segment, as in '/{name}/'; a literal brace is written %7B or %7D")
    name, colon, kind = inner.partition(":")
    if not name.isidentifier():
        raise bad_path(path, f"{name!r} in {segment} is not a name: expected letters, digits and '_'")
    if kind not in MARKS or (colon and not kind):
        raise bad_path(path, f"{kind!r} in {segment} is not a type; expected {{{name}}}, {{{name}:int}}, "
                             f"{{{name}:uuid}} or {{{name}:path}}")
    return name, kind


cdef bytes literal(str path, str segment, bint is_last):
    cdef bytes raw = ("/" + segment).encode("utf-8", "surrogateescape")
    if segment in ("*", "**"):
        raise bad_path(path, f"{segment!r} is no wildcard here; write {{name}} for one segment, "
                             "{name:path} for the rest")
    if segment.startswith("<") and segment.endswith(">"):
        raise bad_path(path, f"{segment!r} can never match; a parameter is written {{name}} or {{name:int}}")
    if not segment:
        if not is_last:
            raise bad_path(path, "it can never match: repeated slashes are merged before matching; "
                                 "write one '/'")
        return b"\0"
    if is_normal(raw, len(raw)):
        return b"\0" + raw[1:]
    try:
        normal = normalise_path(raw)
    except BadPath as error:
        raise bad_path(path, f"it can never match: {error.reason}") from None
    if segment in (".", "..") or normal == "/":
        raise bad_path(path, f"it can never match: {segment!r} is resolved before matching; "
                             "write the path it leads to")
    return b"\0" + normal[1:].encode("ascii")


cdef str parse_host(object host):
    cdef str text, name
    if host is None:
        return None
    if not isinstance(host, str):
        raise TypeError(f"host: expected a str, got {type(host).__name__}")
    text = host.lower()
    if text.endswith(".") and len(text) > 1:
        text = text[:-1]
    name = text[2:] if text.startswith("*.") else text
    if ADDRESS6(text):
        return text
    if not text.isascii():
        raise RouteError(f"host {host!r}: not ASCII; write the name in its xn-- form", "host")
    if ":" in text:
        raise RouteError(f"host {host!r}: it can never match: the port is not compared; leave it out", "host")
    if "*" in name:
        raise RouteError(f"host {host!r}: a wildcard is the whole first label, as in '*.example.com'", "host")
    if len(text) > MAX_HOST or not all(map(LABEL, name.split("."))):
        raise RouteError(f"host {host!r}: not a host name; expected 'example.com' or '*.example.com'", "host")
    return text


cdef tuple parse_methods(object methods):
    cdef set seen = set()
    if isinstance(methods, (str, bytes)):
        raise TypeError(f"methods: expected a list of str, got {methods!r}; write [{methods!r}]")
    for method in methods:
        if not isinstance(method, str):
            raise TypeError(f"methods: expected str, got {type(method).__name__}")
        if not TOKEN(method):
            raise RouteError(f"method {method!r}: not a method name", "methods")
        if method != method.upper() and method.upper() in STANDARD:
            raise RouteError(f"method {method!r}: it can never match: methods are case-sensitive; "
                             f"did you mean {method.upper()!r}?", "methods")
        if method == "CONNECT":
            raise RouteError("method 'CONNECT': it can never match: its requests carry no path", "methods")
        if method in seen:
            raise RouteError(f"method {method!r}: named twice", "methods")
        seen.add(method)
    return tuple(sorted(seen))


cdef dict parse_headers(object headers):
    cdef dict conditions = {}
    for name, value in sorted(dict(headers).items()):
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers: expected str: str, got {name!r}: {value!r}")
        lower = name.lower()
        if not TOKEN(name):
            raise RouteError(f"header {name!r}: not a header name", "headers")
        if lower in conditions:
            raise RouteError(f"header {name!r}: named twice", "headers")
        if lower == "host":
            raise RouteError("header 'Host': write host instead", "headers")
        if not FIELD_VALUE(value):
            raise RouteError(f"header {name!r}: it can never match: {value!r} has control characters, white "
                             "space around it or characters beyond Latin-1", "headers")
        if max(len(name), len(value)) > MAX_KEY:
            raise RouteError(f"header {name[:40]!r}: longer than {MAX_KEY} characters", "headers")
        conditions[lower] = value
    return conditions
