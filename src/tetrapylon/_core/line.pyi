"""Exchanges in a queue, linked through themselves."""

from typing import Final

from typing_extensions import disjoint_base

@disjoint_base
class Line:
    """Exchanges that wait for their turn, in order."""

    length: Final[int]
