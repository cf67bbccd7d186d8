"""Networks: the most specific one that holds an address, whatever their number."""

from collections.abc import Iterable

from typing_extensions import disjoint_base

@disjoint_base
class Networks:
    """A radix tree of IPv4 and IPv6 networks, each with a mark."""

    def __init__(self, networks: Iterable[tuple[str, int]] = ...) -> None:
        """`networks` are pairs of a CIDR and a mark, a number from 0. Of one listed twice the first stays.

        Raises ValueError for what is no CIDR, and MemoryError.
        """

    def __len__(self) -> int: ...
    def mark(self, address: str) -> int | None:
        """The mark of the most specific network that holds the address; None: none does."""
