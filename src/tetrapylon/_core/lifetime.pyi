"""The age and the number of messages at which a connection is given up, so that new ones spread anew."""

from typing_extensions import disjoint_base

@disjoint_base
class Lifetime:
    """How long connections of one kind may live; each one's own limits differ by up to a tenth."""

    def __init__(self, *, age: float | None = None, messages: int | None = None) -> None:
        """`age` in seconds, `messages` requests carried; None: no limit."""
