"""The systems of the experiment, each in a folder of its own with its config."""

from . import caddy, envoy, flask, go, haproxy, nginx, tetrapylon, traefik
from .base import Archive, Debian, GoBuild, Peer, Wheels

__all__ = ["DIRECT", "SYSTEMS", "Archive", "Debian", "GoBuild", "Peer", "Wheels", "select"]

DIRECT = Peer(name="direct", title="no gateway", folder="", program="", command=(), deploy=None)
"""The upstream itself: what the load costs without anything in front."""

SYSTEMS: tuple[Peer, ...] = (
    DIRECT,
    tetrapylon.PLAIN,
    tetrapylon.LOGGED,
    tetrapylon.THREE,
    nginx.PEER,
    haproxy.PEER,
    envoy.PEER,
    traefik.PEER,
    go.PLAIN,
    go.POOL,
    caddy.PEER,
    flask.ONE,
    flask.FOUR,
)


def select(names: str) -> tuple[Peer, ...]:
    """The systems named in a comma-separated list, or all of them for an empty one.

    Raises ValueError naming what is unknown and what there is.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {peer.name: peer for peer in SYSTEMS}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"unknown systems: {', '.join(unknown)}; there are {', '.join(known)}")
    return tuple(known[name] for name in wanted) or SYSTEMS
