"""Tunnels: what an exchange becomes once both sides have switched protocols (RFC 9110 section 7.8)."""

from tetrapylon._core.stream import Connection

class Tunnel:
    """Two streams joined; bytes pass untouched, each side at the other's pace."""

class TunnelEnd(Connection):
    """One side of a tunnel."""
