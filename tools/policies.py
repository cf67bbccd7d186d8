"""Prints docs/policies.md: each policy with its cost, its settings and its example. Run it from the root:

.venv/bin/python tools/policies.py > docs/policies.md
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from tetrapylon import catalog
from tetrapylon.config.policies import settings_section
from tetrapylon.config.reference import about, tables

ROOT = Path(__file__).parents[1]
HEAD = """\
# Policies

Policies authenticate, limit, change or answer requests on their way. They run in the order of the list on the
way to the upstream, and in reverse on the way back; those of the config's own `policies` come before a
route's. A policy that is not in the list costs nothing.

```yaml
policies: [{use: request_id}]                 # on every route
routes:
  - path: /orders
    upstream: orders
    policies:                                 # then these
      - {use: rate_limit, rate: 100/s}
```

The first lines of each example are requests and their answers, in order; the tests send them.

Costs are instructions of one request, as `make budgets` counts them by callgrind: what a policy adds to a
proxied request, which takes PLAIN without any. They are counted with a local store where there is a choice,
and with credentials that were verified before.

All that a public API needs, `api_key`, `rate_limit`, `headers`, `cors`, `request_id`, metrics and the access
log, took 0.91 to 0.93 times the CPU time a request of nginx with none of them, and 0.22 to 0.23 times that of
a Go gateway with the same (`make bench-public-api`, two runs of nine rounds on two shared cores).
"""
BUDGETS = tomllib.loads((ROOT / "benchmarks" / "budgets.toml").read_text(encoding="utf-8"))
COSTS: dict[str, int] = BUDGETS["policies"]


def page() -> Iterator[str]:
    yield HEAD.replace("PLAIN", f"{rounded(BUDGETS['instructions']['small']):,}")
    for name in sorted(catalog.POLICIES):
        yield from policy(name)


def rounded(count: int) -> int:
    """To two digits or so: another compiler or processor counts a little otherwise."""
    step = 10 if count < 1000 else 100
    return max(step, round(count / step) * step)


def cost(name: str) -> str:
    """Empty where none is counted."""
    if name not in COSTS:
        return ""
    if name == "cache":
        miss, stored = (rounded(COSTS[f"cache-{each}"]) for each in ("miss", "store"))
        return (
            f"Cost: {rounded(COSTS[name]):,} for the whole of a hit; {miss:,} on top of a request that goes"
            f" to the upstream, {stored:,} with its answer stored.\n"
        )
    return f"Cost: {rounded(COSTS[name]):,}.\n"


def policy(name: str) -> Iterator[str]:
    yield f"## `{name}`\n"
    yield about(name) + "\n"
    if cost(name):
        yield cost(name)
    for path, rows in tables(settings_section(name)):
        if path:
            yield f"In `{path}`:\n"
        yield "\n".join(rows) + "\n"
    example = ROOT / "examples" / "policies" / f"{name}.yaml"
    if example.exists():
        yield f"```yaml\n{example.read_text(encoding='utf-8')}```\n"


if __name__ == "__main__":
    print("\n".join(page()), end="")
