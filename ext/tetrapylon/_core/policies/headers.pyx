"""`headers`: header fields set, added, removed and renamed, on their way in and out."""

from tetrapylon._core.buffer cimport DROPPED, OURS, Head, Header, head_append, known_name, same_name
from tetrapylon._core.exchange cimport Exchange
from tetrapylon._core.http.edit cimport (
    add_line, drop_lines, drop_prefixed, drop_prefixed_variables, drop_variables, out_of_memory,
)
from tetrapylon._core.http.template cimport Template
from tetrapylon._core.policy cimport CONTINUE, Policy, Verdict

from typing import Annotated

from msgspec import Struct

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName

# What frames a message or belongs to one hop (RFC 9110 section 7.6.1) is the gateway's own to say.
cdef frozenset OWN = frozenset((
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "via",
))
cdef frozenset OWN_IN_REQUESTS = frozenset((
    "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
))


class Edits(Struct, frozen=True, kw_only=True):
    """What happens to the header fields of a message, in this order."""

    rename: Annotated[dict[HeaderName, HeaderName], doc("Fields that get another name: `{OLD: NEW}`.")] = {}
    remove: Annotated[
        tuple[HeaderName, ...], doc("Fields to take out; `X-Internal-*` takes all that begin so.")
    ] = ()
    set: Annotated[
        dict[HeaderName, str],
        doc(
            "Fields that have this value and no other. `{client}`, `{consumer}`, `{request_id}`, `{route}`,"
            " `{host}`,"
            " `{authority}`, `{scheme}`, `{method}`, `{path}`, `{query}`, `{target}`, `{header:NAME}` of the"
            " request"
            " and the parameters of the route's path are filled in, `{{` is a brace; a value that comes out"
            " empty"
            " takes the field away."
        ),
    ] = {}
    add: Annotated[
        dict[HeaderName, str],
        doc("Fields to add to those that are there; as `set`, but an empty one is not added."),
    ] = {}


class Settings(Struct, frozen=True, kw_only=True):
    """Sets, adds, removes and renames header fields."""

    request: Annotated[Edits, doc("What upstreams, and the policies after this one, are told.")] = Edits()
    response: Annotated[Edits, doc("What clients, and the policies before this one, are told.")] = Edits()


cdef class Line:
    cdef bytes name
    cdef bytes dropped          # what it takes the place of
    cdef Template value

    def __init__(self, str name, str value, parameters, bytes dropped):
        self.name = name.encode("ascii")
        self.dropped = dropped
        self.value = Template(value, parameters)


cdef class Steps:
    """The edits of one direction."""
    cdef list renames           # (old in lower case, new, what new takes the place of)
    cdef list removals          # (lower-case name, is it a prefix)
    cdef list settings
    cdef list additions
    cdef bint request

    def __init__(self, edits, parameters, bint request):
        self.request = request
        self.renames = [
            (old.lower().encode(), new.encode(), self.meant(new)) for old, new in edits.rename.items()
        ]
        self.removals = [
            (self.meant(name.removesuffix("*")), name.endswith("*")) for name in edits.remove
        ]
        self.settings = [Line(name, value, parameters, self.meant(name)) for name, value in edits.set.items()]
        self.additions = [
            Line(name, value, parameters, self.meant(name)) for name, value in edits.add.items()
        ]

    def meant(self, str name not None):
        """As `drop` wants it."""
        lower = name.lower()
        return (lower.replace("_", "-") if self.request else lower).encode("ascii")

    cdef bint run(self, Exchange x, Head* head) noexcept:
        """False: there is no memory."""
        cdef Line line
        for old, new, dropped in self.renames:
            if not self.rename(head, old, new, dropped):
                return False
        for name, prefix in self.removals:
            if prefix and self.request:
                drop_prefixed_variables(head, name)
            elif prefix:
                drop_prefixed(head, name)
            else:
                self.drop(head, name)
        for line in self.settings:
            # Expanded first: it may well be made of the field that it replaces.
            if not line.value.expand(x):
                return False
            self.drop(head, line.dropped)
            if not self.put(head, line):
                return False
        for line in self.additions:
            if not line.value.expand(x) or not self.put(head, line):
                return False
        return True

    cdef void drop(self, Head* head, bytes lower) noexcept:
        # To a CGI or WSGI upstream X_Tenant is X-Tenant: what a client says in its name goes as well.
        if self.request:
            drop_variables(head, lower)
        else:
            drop_lines(head, lower)

    cdef bint put(self, Head* head, Line line) noexcept:
        if line.value.n == 0:
            return True
        return add_line(head, line.name, line.value.data, line.value.n, OURS if self.request else 0) == 0

    cdef bint rename(self, Head* head, bytes old, bytes new, bytes dropped) noexcept:
        cdef Header* line
        cdef unsigned int i
        cdef long long at = -1
        for i in range(head.count):
            line = &head.headers[i]
            if line.mark & DROPPED or line.name_length != len(old):
                continue
            if not same_name(head.data + line.name, old, len(old)):
                continue
            if at < 0:
                # The client's own of the new name would stand beside it.
                self.drop(head, dropped)
                at = head_append(head, new, len(new))
                if at < 0:
                    return False
            line.name = <unsigned int>at
            line.name_length = <unsigned short>len(new)
            line.known = known_name(new, len(new))
        return True


cdef class Headers(Policy):
    cdef Steps inward
    cdef Steps outward

    Settings = Settings

    def __init__(self, settings=Settings(), parameters=()):  # noqa: B008
        self.inward = Steps(settings.request, parameters, True)
        self.outward = Steps(settings.response, parameters, False)

    @classmethod
    def build(cls, settings, scope):
        return cls(settings, scope.parameters)

    @staticmethod
    def check(settings, config):
        """Fields that are the gateway's own."""
        for side, edits in (("request", settings.request), ("response", settings.response)):
            own = OWN | OWN_IN_REQUESTS if side == "request" else OWN
            names = [(("rename", old), name) for old, new in edits.rename.items() for name in (old, new)]
            names += [(("remove", i), name) for i, name in enumerate(edits.remove)]
            names += [(("set", name), name) for name in edits.set]
            names += [(("add", name), name) for name in edits.add]
            for path, name in names:
                meant = name.lower().replace("_", "-")
                if meant in own:
                    hint = "use `host` of the upstream" if meant == "host" else "leave it out"
                    yield (side, *path), f"the gateway sets {name} itself", hint
            for i, name in enumerate(edits.remove):
                if "*" in name.removesuffix("*") or name in ("", "*"):
                    what = f"{name!r} is no name of a field"
                    yield (side, "remove", i), what, "expected NAME, or PREFIX* for all"

    @staticmethod
    def texts(settings):
        """The templates among the settings: where, and what."""
        for side, edits in (("request", settings.request), ("response", settings.response)):
            for kind in ("set", "add"):
                for name, text in getattr(edits, kind).items():
                    yield (side, kind, name), text, ()

    cdef Verdict request(self, Exchange x) noexcept:
        return CONTINUE if self.inward.run(x, &x.request) else out_of_memory(x)

    cdef Verdict response(self, Exchange x) noexcept:
        return CONTINUE if self.outward.run(x, &x.response) else out_of_memory(x)
