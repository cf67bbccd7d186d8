"""A gateway before targets that are processes, and what its admin address tells of them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.faults.target import Target
from tests.harness import Client, Gateway, proxy, request

INTERVAL = 0.5
"""Seconds between two checks."""
BUDGET = 0.2
RESILIENT: dict[str, Any] = {
    "balance": "least_requests",
    "timeouts": {"connect": "250ms"},
    "retry": {
        "attempts": 2,
        "on": ["connect", "reset", "timeout", 500, 502, 503, 504],
        "try_timeout": "250ms",
        "backoff": "5ms",
        "budget": f"{BUDGET:.0%}",
    },
    "health": {
        "active": {
            "path": "/healthz",
            "interval": f"{INTERVAL * 1000:g}ms",
            "timeout": "250ms",
            "healthy": 1,
            "unhealthy": 2,
        },
        "passive": {"consecutive_failures": 3, "eject": "1s", "longest": "2s"},
    },
}


class Fleet:
    def __init__(self, gateway: Gateway, targets: list[Target]) -> None:
        self.gateway = gateway
        self.targets = targets

    def admin(self, path: str, method: str = "GET") -> str:
        assert self.gateway.admin is not None
        with Client(self.gateway.admin) as client:
            answer = client.send(request(method, path, host="localhost")).response()
            assert answer.status == 200, answer
            return answer.body.decode()

    def state(self, target: Target) -> str:
        (told,) = json.loads(self.admin("/upstreams"))["upstreams"]
        states = {each["url"]: str(each["state"]) for each in told["targets"]}
        return states.get(target.address, "unknown")

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples with these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.admin("/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def transitions(self, target: Target, to: str) -> float:
        return self.metric("tetrapylon_upstream_transitions_total", target=target.address, to=to)


@contextmanager
def fleet(
    count: int = 3,
    *others: Target,
    workers: int = 1,
    server: Mapping[str, Any] | None = None,
    **upstream: Any,
) -> Iterator[Fleet]:
    """`upstream` are settings over those of `RESILIENT`; `others` targets beside those of its own."""
    with ExitStack() as stack:
        targets = [stack.enter_context(Target()) for _ in range(count)]
        targets += others
        config = proxy(
            *(target.url for target in targets),
            upstream={**RESILIENT, **upstream},
            server={"workers": workers, **(server or {})},
            admin={"listen": "127.0.0.1:0"},
            log={"access": "none"},
        )
        gateway = stack.enter_context(Gateway(config))
        yield Fleet(gateway, targets)


def with_settings(settings: Mapping[str, Any], **sections: Mapping[str, Any]) -> dict[str, Any]:
    """Some sections of the settings with some keys set anew."""
    return {key: {**settings[key], **more} for key, more in sections.items()}
