"""`net/http/httputil.ReverseProxy` of the Go standard library, and the same with a BufferPool."""

from dataclasses import replace

from ..base import GoBuild, Peer

PLAIN = Peer(
    name="go",
    title="Go gateway",
    folder="go",
    program="go-gateway",
    command=("{program}", "127.0.0.1:{port}", "http://127.0.0.1:{upstream}"),
    environment={"GOMAXPROCS": "1"},
    deploy=GoBuild("main.go"),
)
POOL = replace(
    PLAIN, name="go-pool", title="Go gateway, BufferPool", command=(*PLAIN.command, "pool"), deploy=None
)
