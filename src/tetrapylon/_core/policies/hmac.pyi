"""`hmac`: requests that a consumer has signed with a secret (RFC 9421, hmac-sha256)."""

from collections.abc import Iterator
from typing import Any, ClassVar

from typing_extensions import disjoint_base

from tetrapylon._core.identity import Identity, Known
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.config.model.credentials import Identifies

class Settings(Identifies, frozen=True, kw_only=True):
    """Asks for an HTTP message signature (RFC 9421) by one of the `hmac_keys` of `consumers`."""

    example: ClassVar[str]

    covers: tuple[str, ...] = ...
    body: bool = ...
    max_body: int = ...
    window: float = ...
    leeway: float = ...
    nonce: bool = ...

_Settings = Settings

@disjoint_base
class Hmac(Identity):
    """Knows consumers by the signature of their requests."""

    Settings: ClassVar[type[_Settings]]
    shared: ClassVar[bool]

    def __init__(self, settings: _Settings, slab: Slab, keys: dict[str, tuple[bytes, Known]]) -> None: ...
    @staticmethod
    def build(settings: _Settings, scope: Any) -> Hmac: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str | int, ...], str, str]]: ...
    @staticmethod
    def vouches(settings: Identifies) -> list[str]: ...

def read_inputs(text: bytes) -> list[tuple[bytes, bytes, list[bytes], dict[bytes, int | bytes]]] | None:
    """`Signature-Input` -> [(label, its text, components, parameters)]; None: it is malformed.

    Components with parameters of their own are not understood: they make it malformed.
    """

def read_signatures(text: bytes) -> dict[bytes, bytes] | None:
    """`Signature` -> {label: bytes}; None: it is malformed."""
