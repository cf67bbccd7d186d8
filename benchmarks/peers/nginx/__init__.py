"""nginx, as Debian packages it."""

from ..base import Debian, Peer

PEER = Peer(
    name="nginx",
    title="nginx",
    folder="nginx",
    program="nginx",
    configs=("nginx.conf",),
    command=("{program}", "-p", "{dir}", "-e", "stderr", "-c", "{dir}/nginx.conf"),
    version=("{program}", "-v"),
    deploy=Debian(("nginx", "nginx-common")),
)
