"""`forward_auth`: another service says whether a request may pass."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from typing_extensions import disjoint_base

from tetrapylon._core.identity import Identity, Known
from tetrapylon._core.upstreams.call import Call
from tetrapylon.config.model.credentials import Identifies

class Settings(Identifies, frozen=True, kw_only=True):
    """Asks a service, which sees chosen header fields of the request and where it goes, but no body."""

    example: ClassVar[str]

    upstream: str
    path: str = ...
    method: str = ...
    host: str | None = ...
    send: tuple[str, ...] = ...
    copy: tuple[str, ...] = ...
    consumer: str | None = ...
    groups: str | None = ...
    timeout: float = ...
    cache: float = ...
    cache_by_target: bool = ...

_Settings = Settings

@disjoint_base
class ForwardAuth(Identity):
    """Asks a service."""

    Settings: ClassVar[type[_Settings]]
    shared: ClassVar[bool]

    def __init__(
        self,
        settings: _Settings,
        scope: Any,
        host: bytes,
        know: Callable[[list[tuple[bytes, bytes]]], Known | None],
    ) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> ForwardAuth: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]: ...
    @staticmethod
    def vouches(settings: _Settings) -> list[str]: ...

@disjoint_base
class Yes:
    """A service's yes."""

@disjoint_base
class Asking(Call):
    """A question to the service."""

    def go(self) -> None: ...
