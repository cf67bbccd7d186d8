"""Prints docs/metrics.md: every family of /metrics, as the gateway itself describes it. Run it from the root:

.venv/bin/python tools/metrics.py > docs/metrics.md
"""

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trustme

from tetrapylon._core.telemetry.counters import Slabs, State
from tetrapylon.admin.certificates import Certificates
from tetrapylon.admin.metrics import FAMILIES, Exposition
from tetrapylon.admin.text import Format
from tetrapylon.config import loads

HEAD = """\
# Metrics

All metrics at `/metrics` on the admin address. [Seeing what happens](operate.md#prometheus-and-grafana) has a
dashboard and alerts.

Names are OpenTelemetry's where it has one, `process_...` those of Prometheus' own clients; all others begin
with `tetrapylon_`. Durations are in seconds, sizes in bytes. `http_route` is a route's name or its path's
template, never a path that a client requested; with `server_address` and `tetrapylon_route_methods` it
identifies a route. Responses that were cut have `error_type` in place of `http_response_status_class`.
"""
TABLE = "| name | kind | labels | |\n| --- | --- | --- | --- |"
ROUTE = {"http_route": "/", "server_address": "shop.example", "tetrapylon_route_methods": "GET"}
NEWS: dict[str, Any] = {"generation": 1, "last": None, "history": [{"time": 0.0}]}
META = re.compile(r"# (HELP|TYPE) (\S+) (.*)")
SAMPLE = re.compile(r"(\w+?)(?:_bucket|_sum|_count)?\{(.*)\} ")
LABEL = re.compile(r'(\w+)="(?:[^"\\]|\\.)*"')


def exposition() -> str:
    """Of a gateway that has had something to tell of all that is always there."""
    slabs = Slabs(1, 1)
    slabs.supervisor().claim(os.getpid())
    slab = slabs.slab(0)
    slab.claim(os.getpid())
    slab.state = State.SERVING
    for status in (200, 0):
        slab.count_exchange(0, status, 1, 1, 1, 1, 1)
    slab.observe_upstream("users", 1, 1, 1)
    slabs.board.mark("users", "", True)
    slabs.board.mark("users", "10.0.0.5:9001", False)
    slabs.moves.set_share("/\nusers", 0.1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "shop.pem")
        trustme.CA().issue_cert("shop.example").private_key_and_cert_chain_pem.write_to_path(file)
        listen = f"{{address: 127.0.0.1:1, tls: {{cert: {file}, key: {file}}}}}"
        certificates = Certificates()
        certificates.follow(
            loads(f"server: {{listen: [{listen}]}}\nroutes: [{{path: /, respond: {{}}}}]", "g.yaml")
        )
        told = Exposition(slabs, lambda: [ROUTE], lambda: 1, "1", lambda: NEWS)
        told.more.append(certificates.families)
        return b"".join(told.stream(Format(openmetrics=False))).decode()


def always() -> Iterator[str]:
    text: dict[str, str] = {}
    labels: dict[str, dict[str, None]] = defaultdict(dict)
    kinds: dict[str, str] = {}
    for line in exposition().splitlines():
        if meta := META.match(line):
            (text if meta[1] == "HELP" else kinds)[meta[2]] = meta[3]
        elif sample := SAMPLE.match(line):
            labels[sample[1]].update(dict.fromkeys(LABEL.findall(sample[2])))
    for name, kind in kinds.items():
        told = ", ".join(f"`{label}`" for label in labels[name] if label != "le")
        yield f"| `{name}` | {kind} | {told} | {text[name]} |"


def page() -> Iterator[str]:
    yield HEAD
    yield TABLE
    yield from always()
    yield "\n## Metrics of features in use\n"
    yield "Their labels name what they are about: a policy, an app, a cache, a handler or a plugin.\n"
    yield "| name | kind | |\n| --- | --- | --- |"
    for name, (kind, text) in FAMILIES.items():
        if name != "tetrapylon_series_dropped_total":
            yield f"| `{name}` | {kind} | {text} |"


if __name__ == "__main__":
    print("\n".join(page()))
