"""Tetrapylon: plain, with more turned on, and with three workers."""

from dataclasses import replace
from hashlib import sha256

from ..base import Peer, Wheels
from ..go import CHECKED, KEY

PLAIN = Peer(
    name="tetrapylon",
    title="Tetrapylon",
    folder="tetrapylon",
    program="tetrapylon",
    configs=("gateway.yaml",),
    command=("{program}", "run", "{dir}/gateway.yaml"),
    deploy=Wheels(("tetrapylon",)),
)
LOGGED = replace(
    PLAIN,
    name="tetrapylon-log",
    title="Tetrapylon, access log on",
    configs=("logged.yaml",),
    command=("{program}", "run", "{dir}/logged.yaml"),
    log="access.log",
    deploy=None,
)
THREE = replace(
    PLAIN, name="tetrapylon-3", title="Tetrapylon, 3 workers", workers=3, deploy=None, compared=False
)
CACHE = replace(
    PLAIN,
    name="tetrapylon-cache",
    title="Tetrapylon's cache",
    configs=("cache.yaml",),
    command=("{program}", "run", "{dir}/cache.yaml"),
    deploy=None,
    compared=False,
)
PUBLIC_API = replace(
    PLAIN,
    name="tetrapylon-public-api",
    title="Tetrapylon with a public API's policies",
    configs=("public-api.yaml",),
    command=("{program}", "run", "{dir}/public-api.yaml"),
    values={"KEY_HASH": sha256(KEY.encode()).hexdigest()},
    log="access.log",
    fields=CHECKED.fields,
    deploy=None,
    compared=False,
)
RESILIENT = replace(
    PLAIN,
    name="tetrapylon-resilient",
    title="Tetrapylon with least requests, passive health, retry and breaker",
    configs=("resilient.yaml",),
    command=("{program}", "run", "{dir}/resilient.yaml"),
    deploy=None,
    compared=False,
)
OBSERVED = replace(
    PLAIN,
    name="tetrapylon-observed",
    title="Tetrapylon with metrics, the access log and request ids",
    configs=("observed.yaml",),
    command=("{program}", "run", "{dir}/observed.yaml"),
    log="access.log",
    deploy=None,
    compared=False,
)
