"""A route that leads to several upstreams: by what the request says, or by weight."""

from collections.abc import Iterable

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Destination, Plan
from tetrapylon._core.shared.moves import Moves

@disjoint_base
class Branch:
    """One way that requests may go: with a weight, a share of those that no branch without one names."""

    def __init__(
        self,
        plan: Plan,
        *,
        weight: int = 0,
        headers: Iterable[tuple[bytes, bytes]] = ...,
        cookies: Iterable[tuple[bytes, bytes]] = ...,
        consumers: Iterable[str] | None = None,
    ) -> None: ...

@disjoint_base
class Lot:
    """A number for each request: by chance, or by `key`, as `balance.read_key` takes it, the same for the
    same key; `salt` tells routes apart."""

    def __init__(self, key: str | None = None, salt: bytes = b"") -> None: ...

@disjoint_base
class Split(Destination):
    """Chooses one of several branches. Raises ValueError where no branch has a weight."""

    def __init__(self, branches: list[Branch], lot: Lot) -> None: ...

@disjoint_base
class Moving(Destination):
    """Chooses the old plan or the new one, by the route's share in `moves`, and counts what has begun.

    Raises MemoryError where `moves` has no room for the route.
    """

    def __init__(self, old: Plan, new: Plan, moves: Moves, route: str, lot: Lot) -> None: ...
