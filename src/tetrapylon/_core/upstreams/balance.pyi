"""How a target is picked: one class a strategy."""

from typing import Final

from typing_extensions import disjoint_base

from tetrapylon._core.upstreams.target import Target

KINDS: Final[dict[str, int]]

@disjoint_base
class Balancer:
    """Picks one of some targets."""

    def choose(self, targets: list[Target]) -> Target:
        """As for a request that says nothing of itself. Tests count with it."""

class RoundRobin(Balancer):
    """In turn, by weight: over one cycle each target has exactly its weight, evenly spread."""

@disjoint_base
class LeastRequests(Balancer):
    """The fewest requests under way for its weight."""

class RandomTwo(Balancer):
    """Two by chance, and of these the less busy."""

@disjoint_base
class ConsistentHash(Balancer):
    """Weighted rendezvous hashing; with a `bound`, none takes more than so many times its share.

    Raises ValueError for what is no key.
    """

    def __init__(self, key: str, bound: float = 0.0) -> None: ...
    def place(self, targets: list[Target], key: bytes) -> Target:
        """Where a key leads to."""

@disjoint_base
class Sticky(Balancer):
    """A client keeps its target, by a cookie, as long as that may be used."""

    def __init__(self, first: Balancer, cookie: str, attributes: str = "Path=/; HttpOnly") -> None: ...

def read_key(text: str) -> tuple[int, bytes]:
    """`client`, `path`, `header:NAME`, `cookie:NAME` or `query:NAME`. Raises ValueError for anything else."""
