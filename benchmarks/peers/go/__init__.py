"""`net/http/httputil.ReverseProxy` of Go's library: plain, with a BufferPool, with checks before it."""

from dataclasses import replace
from hashlib import sha256

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
KEY = "7f9c2ba4e88f827d616045507605853e"
CHECKED = replace(
    PLAIN,
    name="go-checked",
    title="Go gateway with the same checks",
    program="go-checked",
    command=(*PLAIN.command, sha256(KEY.encode()).hexdigest(), "{dir}/access.log"),
    deploy=GoBuild("checked.go"),
    log="access.log",
    fields=(f"X-API-Key: {KEY}", "Origin: https://shop.example"),
    compared=False,
)
