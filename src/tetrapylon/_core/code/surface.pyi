"""`Request` and `Response`: an exchange as users' own Python sees it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar, overload

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Consumer

_T = TypeVar("_T")

@disjoint_base
class View:
    """What reads an exchange where it lies. Once the exchange has ended, everything raises ExchangeOver."""

@disjoint_base
class Headers(View):
    """Header fields by name, in any case; a name may stand more than once.

    Setting raises ValueError for what no message can carry, and for fields that are the gateway's own, such
    as Content-Length.
    """

    def __getitem__(self, key: str, /) -> str:
        """The first of that name. Raises KeyError."""
    def __setitem__(self, key: str, value: str | bytes | int, /) -> None:
        """In place of all of that name."""
    def __delitem__(self, key: str, /) -> None:
        """All of that name. Raises KeyError if there is none."""
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]:
        """The names, in lower case, each once."""
    def __len__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    @overload
    def get(self, name: str, default: None = None) -> str | None: ...
    @overload
    def get(self, name: str, default: _T) -> str | _T: ...
    def getall(self, name: str) -> list[str]:
        """All of that name, in order."""
    def add(self, name: str, value: str | bytes | int) -> None:
        """One more, behind those that are there."""
    def keys(self) -> list[str]: ...
    def values(self) -> list[str]: ...
    def items(self) -> list[tuple[str, str]]:
        """All lines as they came, duplicates included."""

@disjoint_base
class Query(View):
    """The query's parameters, decoded; a name may stand more than once."""

    def __getitem__(self, key: str, /) -> str:
        """The first of that name. Raises KeyError."""
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    @overload
    def get(self, name: str, default: None = None) -> str | None: ...
    @overload
    def get(self, name: str, default: _T) -> str | _T: ...
    def getall(self, name: str) -> list[str]: ...
    def keys(self) -> list[str]: ...
    def items(self) -> list[tuple[str, str]]: ...

@disjoint_base
class Request(View):
    """One request. Nothing is copied until it is asked for."""

    shared: Final[dict[str, Any]]
    """What the worker's lifespan provided: clients, pools, caches."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str:
        """Path and query as the client sent them, the path made normal."""
    @property
    def sent_target(self) -> str:
        """What the upstream is sent in its place: differs where the route has a `rewrite`."""
    @property
    def path(self) -> str:
        """Decoded."""
    @property
    def query(self) -> Query: ...
    @property
    def headers(self) -> Headers:
        """What a plugin changes here, the upstream is sent."""
    @property
    def cookies(self) -> dict[str, str]: ...
    @property
    def client(self) -> str:
        """The client's address, as trusted proxies tell it."""
    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def route(self) -> str:
        """The route's name, or its path where it has none."""
    @property
    def parameters(self) -> dict[str, str]:
        """What the route's path matched, decoded."""
    @property
    def consumer(self) -> Consumer | None:
        """Who it is from, where a policy has found out."""
    @property
    def state(self) -> dict[str, Any]:
        """What plugins and the handler keep about this exchange, shared among them."""
    @property
    def body(self) -> bytes | None:
        """The whole body, once somebody on this route has asked for it; None until then."""
    @overload
    def json(self, type: None = None) -> Any: ...
    @overload
    def json(self, type: type[_T]) -> _T:
        """The body, decoded by msgspec. Raises ValueError, as msgspec.ValidationError is, also without it.

        A name that stands twice in one object is msgspec.DecodeError, and so is what is nested deeper than
        64 levels: the body goes on as it came, and another reader may take the other value.
        """

@disjoint_base
class Response(View):
    """A response: one that is made here, or the upstream's on its way to the client.

    `content` is bytes, a string, anything msgspec makes JSON of, or an async iterator, which is streamed. The
    status is 200, or 204 without content, unless given. Raises ValueError for what no message can carry.
    """

    def __init__(
        self,
        content: Any = None,
        status: int | None = None,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        content_type: str | None = None,
    ) -> None: ...
    status: int
    @property
    def headers(self) -> Headers: ...
    @property
    def body(self) -> Any:
        """The content; of an upstream's response bytes, or None where it streams by."""
    @body.setter
    def body(self, value: bytes | str) -> None:
        """Raises ValueError for one that streams by."""
    @overload
    def json(self, type: None = None) -> Any: ...
    @overload
    def json(self, type: type[_T]) -> _T: ...
