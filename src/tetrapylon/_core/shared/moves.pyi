"""Routes that are on their way from one upstream to another: shared memory, one slot a route, by its name."""

from typing_extensions import disjoint_base

from tetrapylon._core.shared.segment import Segment

@disjoint_base
class Moves(Segment):
    """A slot a route, for `capacity` of them.

    Methods that take a route raise MemoryError once there is no room for one more.
    """

    capacity: int

    def __new__(cls, capacity: int = 1024, fd: int = -1) -> Moves: ...
    @property
    def edges(self) -> list[float]:
        """Where the classes of times begin, in seconds; the first at 0."""

    def set_share(self, route: str, share: float) -> None:
        """The share of its requests, 0 to 1, that goes to the new side: in all workers, from the next on."""

    def share(self, route: str) -> float: ...
    def counts(self, route: str, new: bool) -> tuple[int, int, int, int, list[int]]:
        """Of one side, over all workers, only ever rising: how many requests have begun and ended, how many
        of these with an error and with a refusal (4xx), and the times of those without an error, by class.
        """

    def note(
        self,
        route: str,
        new: bool,
        *,
        error: bool = False,
        refusal: bool = False,
        seconds: float | None = None,
    ) -> None:
        """One request that has begun and ended: for tests."""

    def rows(self) -> list[tuple[str, float, list[tuple[int, int]]]]:
        """Of each route its name, its share, and of either side how many have ended, and with an error."""
