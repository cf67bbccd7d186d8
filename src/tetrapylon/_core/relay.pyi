"""Tunnels: what an exchange becomes once both sides have switched protocols (RFC 9110 section 7.8)."""

from typing_extensions import disjoint_base

from tetrapylon._core.stream import Connection

@disjoint_base
class Tunnel:
    """Two streams joined; bytes pass untouched, each side at the other's pace."""

@disjoint_base
class TunnelEnd(Connection):
    """One of its two ends."""
