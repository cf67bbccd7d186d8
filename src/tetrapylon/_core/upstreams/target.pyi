from typing import Final

from typing_extensions import disjoint_base

from tetrapylon._core.net.address import Address
from tetrapylon._core.net.tls import Tls

@disjoint_base
class Target:
    """One server of an upstream. `host` is what `Host` says where it is to name the target."""

    name: Final[str]
    weight: int
    priority: Final[int]
    zone: Final[str]
    tls: Final[Tls | None]
    addresses: Final[list[Address]]
    connections: Final[int]
    active: Final[int]

    def __init__(
        self,
        name: str,
        *,
        host: bytes,
        weight: int = 1,
        addresses: list[Address] = ...,
        tls: Tls | None = None,
        priority: int = 0,
        zone: str = "",
    ) -> None: ...
    @property
    def override(self) -> int | None:
        """The weight that an operator set at run time; None: its own counts."""

    def set_addresses(self, addresses: list[Address]) -> None:
        """Replaces the addresses; connections that are open stay."""
