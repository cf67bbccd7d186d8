"""When something was last said to have changed, in memory that all workers share."""

from typing_extensions import disjoint_base

from tetrapylon._core.shared.segment import Segment

@disjoint_base
class Marks(Segment):
    """A time for each of 65,536 hashes."""

    def __new__(cls, fd: int = -1) -> Marks: ...
