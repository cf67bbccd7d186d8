"""Reloads under load: what they cost requests, and what they leave in memory.

`python -m benchmarks.reload [--reloads 1000] [--routes 10000] [--clients 8]` alternates between two configs
that differ in every tenth route. It fails where a request fails, or where the memory after the last reload
is more than 5% above that after the tenth.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.harness import Gateway, Upstream, answers
from tests.harness.load import Load, load

WARM = 10


def config(url: str, routes: int, turn: int) -> dict[str, Any]:
    listed = [
        {
            "path": f"/service{index % 100}/resource{index}/{{id:int}}",
            "upstream": "backend",
            "timeouts": {"total": "30s" if index % 10 else f"{30 + turn % 2}s"},
        }
        for index in range(routes)
    ]
    return {
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"access": "none"},
        "upstreams": {"backend": {"targets": [url]}},
        "routes": [{"path": "/", "upstream": "backend"}, *listed],
    }


def resident(pids: list[int]) -> int:
    """KiB that the processes have in memory, each page counted once for all that share it (Pss)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def slowest(clients: list[Load]) -> float:
    """Milliseconds, since it was last asked."""
    found = max(each.slowest for each in clients)
    for each in clients:
        each.slowest = 0.0
    return found * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description="Reloads under load.")
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    with Upstream(answers.ok, record=False) as upstream:
        files = [json.dumps(config(upstream.url, arguments.routes, turn)) for turn in range(2)]
        server = {"listen": ["127.0.0.1:0"], "timeouts": {"drain": "1s"}}
        first = {**json.loads(files[0]), "server": server}
        with Gateway(first, ready=120) as gateway, load(gateway.address, clients=arguments.clients) as loads:
            clients = list(loads)
            slowest(clients)
            time.sleep(2)
            quiet = slowest(clients)
            seconds, after, memory = [], [], {}
            for turn in range(1, arguments.reloads + 1):
                body = {**json.loads(files[turn % 2]), "server": server}
                gateway.write(body)
                asked = urllib.request.Request(f"http://{gateway.admin}/reload", method="POST")
                with urllib.request.urlopen(asked, timeout=300) as response:
                    outcome = json.load(response)
                assert outcome["outcome"] == "applied", outcome
                seconds.append(outcome["seconds"])
                after.append(slowest(clients))
                memory[turn] = resident([gateway.pid, *gateway.workers])
            answered = sum(each.answered for each in clients)
    tenth, last = memory[min(WARM, arguments.reloads)], memory[arguments.reloads]
    print(
        f"{arguments.reloads} reloads of {arguments.routes} routes, {answered} requests answered, none failed"
    )
    print(f"a reload took {sorted(seconds)[len(seconds) // 2]:.2f} s (median), {max(seconds):.2f} s at most")
    print(f"slowest request: {quiet:.1f} ms in 2 s without a reload; while one is under way")
    print(f"    {sorted(after)[len(after) // 2]:.1f} ms, at most {max(after):.1f} ms")
    print(f"memory of all processes (Pss): {tenth} KiB after the tenth, {last} KiB after the last")
    return 0 if last <= tenth * 1.05 else 1


if __name__ == "__main__":
    sys.exit(main())
