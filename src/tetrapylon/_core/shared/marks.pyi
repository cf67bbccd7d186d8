"""When something was last said to have changed, in memory that all workers share."""

from typing_extensions import disjoint_base

@disjoint_base
class Marks:
    """A time for each of 65,536 hashes. Raises OSError where there is no memory to share."""

    def __init__(self) -> None: ...
