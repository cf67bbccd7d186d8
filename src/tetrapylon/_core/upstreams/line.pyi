"""Exchanges in a queue."""

from typing import Final, final

from typing_extensions import disjoint_base

from tetrapylon._core.reactor import Timed

@disjoint_base
class Line:
    """Exchanges that wait for their turn, in order."""

    length: Final[int]

@final
class Waiter(Timed):
    """A place in a line, with its own patience."""
