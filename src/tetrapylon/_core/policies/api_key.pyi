"""`api_key`: a key that a consumer was given."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.identity import Identity, Known
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.model.credentials import Identifies

class Redis(Struct, frozen=True, kw_only=True):
    """Keys in Redis: under `PREFIX` and the key's SHA-256 in hexadecimal lies the consumer."""

    url: str
    prefix: str = ...
    ttl: float = ...
    timeout: float = ...

class Settings(Identifies, frozen=True, kw_only=True):
    """Asks for a key, in a header field, a cookie or the query, and knows the consumer by it."""

    example: ClassVar[str]

    header: str | None = ...
    cookie: str | None = ...
    query: str | None = ...
    strip: bool = ...
    file: str | None = ...
    redis: Redis | None = ...

_Settings = Settings

@disjoint_base
class ApiKey(Identity):
    """Knows consumers by keys."""

    Settings: ClassVar[type[_Settings]]
    shared: ClassVar[bool]

    def __init__(
        self, settings: _Settings, slab: Slab, keys: Iterable[tuple[bytes, Known]], *, store: Any = None
    ) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> ApiKey: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]: ...
    @staticmethod
    def vouches(settings: Identifies) -> list[str]: ...
    def replace(self, keys: Iterable[tuple[bytes, Known]]) -> None:
        """Take these (digest, Known) beside those of the config, in place of what was replaced before."""
    def told(self, digest: bytes, known: Known | bool | None) -> None:
        """The store's answer: a Known, False for no such key, None for no answer."""

@disjoint_base
class Key:
    """A key's digest and whom it makes known."""
