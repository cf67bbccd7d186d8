"""Prints docs/policies.md: each policy with its settings and its example. Run it from the root:

.venv/bin/python tools/policies.py > docs/policies.md
"""

from collections.abc import Iterator
from pathlib import Path

from tetrapylon import catalog
from tetrapylon.config.policies import settings_section
from tetrapylon.config.reference import about, tables

ROOT = Path(__file__).parents[1]
HEAD = """\
# Policies

What may be asked, by whom, how often, and what becomes of it on the way. They run in the order of the list on
the way to the upstream, and in reverse on the way back; those of the config's own `policies` come before a
route's. A policy that is not in the list costs nothing.

```yaml
policies: [{use: request_id}]                 # on every route
routes:
  - path: /orders
    upstream: orders
    policies:                                 # then these
      - {use: rate_limit, rate: 100/s}
```

The first lines of each example are requests and what is answered to them, in order; the tests ask them.
"""


def page() -> Iterator[str]:
    yield HEAD
    for name in sorted(catalog.POLICIES):
        yield from policy(name)


def policy(name: str) -> Iterator[str]:
    yield f"## `{name}`\n"
    yield about(name) + "\n"
    for path, rows in tables(settings_section(name)):
        if path:
            yield f"In `{path}`:\n"
        yield "\n".join(rows) + "\n"
    example = ROOT / "examples" / "policies" / f"{name}.yaml"
    if example.exists():
        yield f"```yaml\n{example.read_text(encoding='utf-8')}```\n"


if __name__ == "__main__":
    print("\n".join(page()), end="")
