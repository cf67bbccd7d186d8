"""HAProxy, as Debian packages it."""

from ..base import Debian, Peer

PEER = Peer(
    name="haproxy",
    title="HAProxy",
    folder="haproxy",
    program="haproxy",
    configs=("haproxy.cfg",),
    command=("{program}", "-db", "-f", "{dir}/haproxy.cfg"),
    version=("{program}", "-v"),
    deploy=Debian(("haproxy",)),
)
