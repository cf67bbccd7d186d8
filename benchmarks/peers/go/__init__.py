"""`net/http/httputil.ReverseProxy` of the Go standard library."""

from ..base import GoBuild, Peer

PEER = Peer(
    name="go",
    title="Go gateway",
    folder="go",
    program="go-gateway",
    command=("{program}", "127.0.0.1:{port}", "http://127.0.0.1:{upstream}"),
    environment={"GOMAXPROCS": "1"},
    deploy=GoBuild("main.go"),
)
