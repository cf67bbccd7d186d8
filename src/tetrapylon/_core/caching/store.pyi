"""Responses kept in a worker's memory."""

from collections.abc import Callable
from typing import Literal, final

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Destination, Sink
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon.stores.redis_answers import SharedAnswers

@disjoint_base
class Location:
    """Of a response in the store that machines share."""

@disjoint_base
class Stored(Destination):
    """A whole response, as it goes out again."""

@final
class Sending(Sink):
    """A large body on its way to a client."""

@final
class Store:
    """Responses, bounded by `room` bytes. Its size and what had to go are told in the metrics, by `name`."""

    shared: SharedAnswers | None
    beyond: Callable[[Stored], object] | None
    """Called with each response of the origin's that is put here and that machines share."""
    name: str
    room: int
    used: int
    count: int

    def __init__(self, slab: Slab, name: str, room: int) -> None: ...
    def clear(self) -> int:
        """Forget everything; how many there were."""

    def purge(self, how: Literal["path", "prefix", "tag"], what: bytes) -> int:
        """Forget what has this path, whatever the query, a target that begins so, or this tag; how many.

        Paths are those that clients ask for, normalised.
        """
