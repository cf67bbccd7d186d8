"""nginx, as Debian packages it."""

from dataclasses import replace

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
CACHE = replace(
    PEER,
    name="nginx-cache",
    title="nginx's proxy_cache",
    configs=("cache.conf",),
    command=("{program}", "-p", "{dir}", "-e", "stderr", "-c", "{dir}/cache.conf"),
    deploy=None,
    compared=False,
)
