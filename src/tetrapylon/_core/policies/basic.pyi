"""`basic`: a user's name and password (RFC 7617)."""

from collections.abc import Iterator
from typing import Any, ClassVar

from typing_extensions import disjoint_base

from tetrapylon._core.identity import Identity, Known
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.model.credentials import Identifies

class Settings(Identifies, frozen=True, kw_only=True):
    """Asks for a consumer's name and one of its `passwords`, Argon2 or bcrypt hashes."""

    example: ClassVar[str]

    realm: str = ...
    cache: float = ...
    cache_wrong: float = ...
    strip: bool = ...

_Settings = Settings

@disjoint_base
class Basic(Identity):
    """Knows consumers by name and password."""

    Settings: ClassVar[type[_Settings]]
    shared: ClassVar[bool]

    def __init__(
        self, settings: _Settings, slab: Slab, users: dict[str, tuple[tuple[str, ...], Known]], checks: Any
    ) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> Basic: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]: ...
    @staticmethod
    def vouches(settings: Identifies) -> list[str]: ...
    def told(self, hash: bytes, known: Known | bool) -> None:
        """What a password was found to be, a Known or False, for all that showed what has this hash."""
