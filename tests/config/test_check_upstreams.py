"""What balancing, health, retries, breakers and splits must mean together."""

import pytest

from tetrapylon.config import loads
from tetrapylon.errors import ConfigError


def refused(upstream: str, *, routes: str = "[{path: /, upstream: u}]") -> dict[str, str]:
    """What is wrong with a config, by path."""
    text = f"upstreams: {{u: {{targets: ['http://127.0.0.1:1'], {upstream}}}}}\nroutes: {routes}\n"
    with pytest.raises(ConfigError) as error:
        loads(text, "gateway.yaml")
    return {problem.path: problem.message for problem in error.value.problems}


@pytest.mark.parametrize(
    ("upstream", "path"),
    [
        ("balance: {}", "upstreams.u.balance"),
        ("balance: {consistent_hash: client, sticky_cookie: a}", "upstreams.u.balance"),
        ("balance: {consistent_hash: ip}", "upstreams.u.balance.consistent_hash"),
        ("balance: {sticky_cookie: 'a b'}", "upstreams.u.balance.sticky_cookie"),
        ("health: {active: {path: healthz}}", "upstreams.u.health.active.path"),
        ("health: {active: {path: '/a b'}}", "upstreams.u.health.active.path"),
        ("health: {passive: {consecutive_failures: none}}", "upstreams.u.health.passive"),
        ("health: {passive: {eject: 10m, longest: 1m}}", "upstreams.u.health.passive.longest"),
        ("health: {passive: {failure_rate: 0%}}", "upstreams.u.health.passive.failure_rate"),
        ("health: {panic: 120%}", "upstreams.u.health.panic"),
        ("retry: {budget: 120%}", "upstreams.u.retry.budget"),
        ("retry: {on: []}", "upstreams.u.retry.on"),
        ("retry: {on: [200]}", "upstreams.u.retry.on[0]"),
        ("retry: {on: [conect]}", "upstreams.u.retry.on[0]"),
        ("retry: {on: [503], try_timeout: 1s}", "upstreams.u.retry.try_timeout"),
        ("breaker: {target: {failure_rate: none}}", "upstreams.u.breaker.target"),
        ("breaker: {upstream: {slow_rate: 0%}}", "upstreams.u.breaker.upstream.slow_rate"),
        ("adaptive_limit: {least: 500}", "upstreams.u.adaptive_limit.least"),
        ("adaptive_limit: {least: 20, initial: 10}", "upstreams.u.adaptive_limit.initial"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_stands(upstream: str, path: str) -> None:
    assert path in refused(upstream)


@pytest.mark.parametrize(
    ("split", "path"),
    [
        ("{to: []}", "routes[0].split.to"),
        ("{to: [{upstream: u, weight: 0}]}", "routes[0].split.to"),
        ("{to: [{upstream: v, weight: 1}]}", "routes[0].split.to[0].upstream"),
        ("{to: [{upstream: u}, {upstream: u, weight: 1}]}", "routes[0].split.to[0]"),
        ("{to: [{upstream: u, weight: 1, headers: {A: b}}]}", "routes[0].split.to[0].weight"),
        (
            "{to: [{upstream: u, weight: 1}, {upstream: u, consumers: [x]}]}",
            "routes[0].split.to[1].consumers[0]",
        ),
        ("{to: [{upstream: u, weight: 1}], by: ip}", "routes[0].split.by"),
    ],
)
def test_a_split_that_leads_nowhere_is_refused(split: str, path: str) -> None:
    assert path in refused("host: preserve", routes=f"[{{path: /, split: {split}}}]")


def test_a_route_has_one_destination() -> None:
    routes = "[{path: /, upstream: u, split: {to: [{upstream: u, weight: 1}]}}]"
    assert "routes[0].split" in refused("host: preserve", routes=routes)


def test_a_mirror_leads_to_an_upstream_that_there_is() -> None:
    routes = "[{path: /, upstream: u, policies: [{use: mirror, upstream: v}]}]"
    assert any("mirror" in path or "policies" in path for path in refused("host: preserve", routes=routes))


def test_a_fault_that_does_nothing_is_refused() -> None:
    routes = "[{path: /, upstream: u, policies: [{use: fault}]}]"
    assert any("policies" in path for path in refused("host: preserve", routes=routes))
