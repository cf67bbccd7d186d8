"""A gateway with policies on its one route, before an upstream that tells what came."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.harness import Gateway, Rig, Upstream, answers
from tests.harness.upstream import Script

Policy = dict[str, Any]


@contextmanager
def behind(
    *policies: Policy,
    script: Script | Sequence[Script] = answers.echo,
    path: str = "/{rest:path}",
    methods: Sequence[str] = (),
    upstream: dict[str, Any] | None = None,
    **config: Any,
) -> Iterator[Rig]:
    """Every request under `path` passes these policies; `config` are further keys of the top level."""
    with Upstream(script) as real:
        route: dict[str, Any] = {"path": path, "upstream": "backend", "policies": list(policies)}
        if methods:
            route["methods"] = list(methods)
        whole = {
            "upstreams": {"backend": {"targets": [real.url], **(upstream or {})}},
            "routes": [route],
            **config,
        }
        with Gateway(whole) as gateway, gateway.client() as client:
            yield Rig(client, real, gateway)


def problems(policy: Policy, *, path: str = "/{rest:path}", everywhere: bool = False) -> list[str]:
    """What is wrong with a policy's settings, as `check` says it: `PLACE: what; hint`."""
    import json

    from tetrapylon.config import loads
    from tetrapylon.errors import ConfigError

    route: dict[str, Any] = {"path": path, "respond": {}}
    config: dict[str, Any] = {"routes": [route]}
    (config if everywhere else route)["policies"] = [policy]
    try:
        loads(json.dumps(config), "gateway.json")
    except ConfigError as error:
        return [f"{problem.path}: {problem.message}; {problem.hint}" for problem in error.problems]
    return []
