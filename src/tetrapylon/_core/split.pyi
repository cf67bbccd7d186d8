"""A route that leads to several upstreams: by what the request says, or by weight."""

from collections.abc import Iterable

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Destination, Plan

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
class Split(Destination):
    """Chooses one of several branches. Raises ValueError where no branch has a weight.

    `key` as `balance.read_key` takes it: the same key goes the same way, by the route's own `salt`.
    """

    def __init__(self, branches: list[Branch], key: str | None = None, salt: bytes = b"") -> None: ...
