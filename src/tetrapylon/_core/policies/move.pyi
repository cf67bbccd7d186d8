"""How either side of a move does: what became of each request, and how long its upstream took."""

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Destination
from tetrapylon._core.policy import Policy
from tetrapylon._core.shared.moves import Moves

@disjoint_base
class Watch(Policy):
    """On a route that moves from `old` to `new`. What a policy answers is on neither side.

    Raises MemoryError where `moves` has no room for the route.
    """

    def __init__(self, old: Destination, new: Destination, moves: Moves, route: str) -> None: ...
