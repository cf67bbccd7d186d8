"""Socket addresses, as text and as the kernel takes them."""

from typing import Final

from typing_extensions import disjoint_base

@disjoint_base
class Address:
    """A socket address, ready to connect to; equal when its text is."""

    text: Final[str]

    @staticmethod
    def ip(host: str, port: int, scope: int = 0) -> Address:
        """An IPv4 or IPv6 address in text form. Raises ValueError for anything else."""

    @staticmethod
    def unix(path: str) -> Address:
        """A Unix socket. Raises ValueError when the path is longer than 107 bytes."""
