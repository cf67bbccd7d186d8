"""Which route takes a request: a table compiled once, read by any number of threads."""

from collections.abc import Iterable, Iterator, Mapping
from types import GenericAlias
from typing import Any, ClassVar, Generic, Self, TypeVar, final
from uuid import UUID

from tetrapylon._core.routing.explain import Candidate
from tetrapylon._core.routing.pattern import RouteError as RouteError

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

@final
class Route(Generic[_T_co]):
    """One route of a router, as it was added; `str()` of it is one line for people."""

    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    @property
    def index(self) -> int:
        """Its place in `Router.routes`."""
    @property
    def path(self) -> str:
        """The pattern as it was given."""
    @property
    def destination(self) -> _T_co: ...
    @property
    def methods(self) -> tuple[str, ...]:
        """Sorted; empty for any method."""
    @property
    def host(self) -> str | None:
        """Lower case."""
    @property
    def headers(self) -> dict[str, str]:
        """Lower-case name to value, "*" for any value."""
    @property
    def name(self) -> str | None: ...
    @property
    def params(self) -> tuple[str, ...]: ...
    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the parameters, in order: "str", "int", "uuid" or "path"."""
    @property
    def segments(self) -> tuple[tuple[str, str], ...]:
        """The pattern: ("literal", normal text), or a parameter's kind and name."""

@final
class Conflict:
    """Two routes, neither of which is the more specific for some request."""

    @property
    def first(self) -> Route[object]: ...
    @property
    def second(self) -> Route[object]:
        """The one added later."""
    @property
    def message(self) -> str: ...
    def __init__(self, first: Route[object], second: Route[object]) -> None: ...

class RouteConflict(RouteError):
    """Routes that cannot be told apart; the text names both of each pair, a pair a line."""

    conflicts: list[Conflict]
    def __init__(self, conflicts: list[Conflict]) -> None: ...

@final
class RouteMatch(Generic[_T_co]):
    """The route that takes a request, with what its parameters are."""

    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...

    __match_args__: ClassVar[tuple[str, ...]] = ("destination", "params")
    @property
    def route(self) -> Route[_T_co]: ...
    @property
    def destination(self) -> _T_co: ...
    @property
    def path(self) -> str:
        """The normal path that was matched."""
    @property
    def params(self) -> dict[str, str | int | UUID]:
        """`{x:int}` is an int, `{x:uuid}` a UUID, others decoded text, U+FFFD for invalid UTF-8.

        `%2F` is decoded as well; `raw_params` still tells it from a slash.
        """
    @property
    def raw_params(self) -> dict[str, str]:
        """As they stand in the normal path."""

@final
class NotAllowed:
    """Path known, method not: 405, or for OPTIONS 204, with these in `Allow` (RFC 9110 10.2.1)."""

    __match_args__: ClassVar[tuple[str, ...]] = ("allowed",)
    @property
    def allowed(self) -> tuple[str, ...]:
        """Of all routes the request would match but for its method; OPTIONS is always among them."""

@final
class Freezer:
    """What a router needs while it is compiled."""

    def __new__(cls, n: int) -> Self: ...

@final
class Router(Generic[_T]):
    """Routes by path, host, headers and method.

        router = Router[str]()
        router.add("/users/{id:int}", "users", methods=["GET"])
        router.freeze()
        match router.match("GET", "/users/7"):
            case RouteMatch(destination, params): ...   # "users", {"id": 7}
            case NotAllowed(allowed): ...               # 405
            case None: ...                              # 404

    A path is made of whole segments:

    - a literal, compared by its normal form (`normalise_path`), in case; a slash at the end matters;
    - `{name}`, one segment of at least one character;
    - `{name:int}`, 1 to 19 digits, at most 2**63 - 1, no sign; leading zeros are taken;
    - `{name:uuid}`, 8-4-4-4-12 hexadecimal digits in any case;
    - `{name:path}`, last: the rest after a slash, slashes and all, maybe empty: `/static/{rest:path}` takes
      `/static/` but not `/static`.

    A host is exact, or `*.example.com` for every name below example.com, however deep. Case, port and a final
    dot are not compared. A header condition wants the first field of that name to have the given value, or
    any value if it is "*". GET routes take HEAD too.

    Of the routes that take a request the most specific one wins, whatever the order they were added in:

    1. By path, at the first segment (from the left) where the patterns differ in kind: literal, then typed,
       then plain, then rest.
    2. By host: exact, then the longest wildcard, then any.
    3. By headers: more conditions first; of as many, more that name a value.
    4. By method: named, then any; HEAD named, then HEAD by way of GET.

    Whatever keeps a request from a route, its method included, leaves it to the next. Two routes of which
    neither is more specific and that one request could match are a conflict.

    A lookup enters each node of the pattern tree at most once, so its cost is bounded by the routes whose
    beginning the path fits, whatever the path.
    """

    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    def __init__(self) -> None: ...
    def __new__(cls) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def routes(self) -> list[Route[_T]]:
        """In the order added."""
    @property
    def table(self) -> list[Route[_T]]:
        """In the order of the compiled table; empty until frozen."""
    @property
    def frozen(self) -> bool: ...
    def add(
        self,
        path: str,
        destination: _T,
        *,
        methods: Iterable[str] = (),
        host: str | None = None,
        headers: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> Route[_T]:
        """Raises RouteError if the route is malformed or can never match, or the router is frozen."""
    def freeze(self) -> None:
        """Compiles the table; without effect the second time. Most of it runs without the GIL.

        Raises RouteConflict with all conflicts; the router then stays open, as it was.
        """
    def freezing(self) -> Iterator[bool]:
        """`freeze` in steps, for a loop that has other work: one is done each time the next is asked for.

        It gives whether the step to come is long and runs without the GIL, so that it belongs in a thread.
        """
    def match(
        self, method: str, path: str | bytes, host: str = "", headers: Mapping[str, str] | None = None
    ) -> RouteMatch[_T] | NotAllowed | None:
        """The route that takes a request; None if no route knows its path.

        `path` is raw, without the query; `host` is a Host field's value. Raises BadPath for a path that no
        request may carry, RouteError before `freeze`.
        """
    def explain(
        self,
        method: str,
        path: str | bytes,
        host: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        limit: int = 10,
    ) -> list[Candidate[_T]]:
        """Why a request takes the route it takes: routes that take its path, in order of precedence, then the
        nearest of the others; at most `limit`, and the winner in any case. Goes through all routes: not for
        the hot path.

        Raises as `match` does.
        """
