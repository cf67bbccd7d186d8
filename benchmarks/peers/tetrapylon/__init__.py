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
LOGGED = PLAIN.with_config(
    "logged.yaml",
    name="tetrapylon-log",
    title="Tetrapylon, access log on",
    log="access.log",
    deploy=None,
)
THREE = replace(
    PLAIN, name="tetrapylon-3", title="Tetrapylon, 3 workers", workers=3, deploy=None, compared=False
)
CACHE = PLAIN.with_config(
    "cache.yaml",
    name="tetrapylon-cache",
    title="Tetrapylon's cache",
    deploy=None,
    compared=False,
)
PUBLIC_API = PLAIN.with_config(
    "public-api.yaml",
    name="tetrapylon-public-api",
    title="Tetrapylon with a public API's policies",
    values={"KEY_HASH": sha256(KEY.encode()).hexdigest()},
    log="access.log",
    fields=CHECKED.fields,
    deploy=None,
    compared=False,
)
RESILIENT = PLAIN.with_config(
    "resilient.yaml",
    name="tetrapylon-resilient",
    title="Tetrapylon with least requests, passive health, retry and breaker",
    deploy=None,
    compared=False,
)
OBSERVED = PLAIN.with_config(
    "observed.yaml",
    name="tetrapylon-observed",
    title="Tetrapylon with metrics, the access log and request ids",
    log="access.log",
    deploy=None,
    compared=False,
)
SHADOWED = PLAIN.with_config(
    "shadow.yaml",
    name="tetrapylon-shadow",
    title="Tetrapylon that copies 10% of the requests to a second upstream and compares",
    values={"SAMPLE": "10%", "AGAIN": "10%"},
    deploy=None,
    compared=False,
)
