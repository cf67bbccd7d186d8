"""Which peers are proxies whose word on their clients is taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

__all__ = ["trusts"]


def trusts(networks: tuple[str, ...]) -> Callable[[str], bool] | None:
    """Whether an address is that of a proxy whose X-Forwarded-* are believed; None if none is."""
    if not networks:
        return None
    from ipaddress import ip_address, ip_network

    trusted = [ip_network(network) for network in networks]

    @lru_cache(4096)
    def trusted_address(address: str) -> bool:
        if address.startswith("unix:"):
            return False
        client = ip_address(address)
        return any(client in network for network in trusted)

    return trusted_address
