"""`acl`: what a consumer may do, by name, group and scope."""

from collections.abc import Iterator

import pytest

from tests.harness import Gateway, Upstream, answers, ask
from tests.policies.rig import sha256

KEYS = {"a": ["partner"], "b": ["partner", "suspended"], "c": [], "d": ["staff"]}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Each route asks for something else of the same consumers."""
    rules = {
        "groups": {"groups": ["partner", "staff"], "deny_groups": ["suspended"]},
        "names": {"consumers": ["c"]},
        "either": {"groups": ["staff"], "consumers": ["c"]},
        "deny": {"deny_groups": ["suspended"]},
        "scopes": {"scopes": ["read"]},
    }
    with (
        Upstream(answers.ok) as upstream,
        Gateway(
            {
                "upstreams": {"backend": {"targets": [upstream.url]}},
                "consumers": [
                    {"name": name, "api_keys": [sha256(f"key-{name}")], "groups": groups}
                    for name, groups in KEYS.items()
                ],
                "policies": [{"use": "api_key", "optional": True}],
                "routes": [
                    {"path": f"/{path}", "upstream": "backend", "policies": [{"use": "acl", **rule}]}
                    for path, rule in rules.items()
                ],
            }
        ) as gateway,
    ):
        yield gateway.address


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("groups", "ad"), ("names", "c"), ("either", "cd"), ("deny", "acd"), ("scopes", "")],
)
def test_who_may(address: str, path: str, allowed: str) -> None:
    statuses = {name: ask(address, "GET", f"/{path}", [("X-API-Key", f"key-{name}")]).status for name in KEYS}
    assert statuses == {name: 200 if name in allowed else 403 for name in KEYS}


@pytest.mark.parametrize("path", ["groups", "names", "deny", "scopes"])
def test_nobody_may_not(address: str, path: str) -> None:
    response = ask(address, "GET", f"/{path}")
    assert response.status == 403
    assert b'"anonymous"' in response.body


def test_a_missing_scope_is_named(address: str) -> None:  # RFC 6750, 3.1
    response = ask(address, "GET", "/scopes", [("X-API-Key", "key-a")])
    assert response.headers.get("WWW-Authenticate") == 'Bearer error="insufficient_scope", scope="read"'
