"""What tells two configs apart."""

from typing import Any

import msgspec

from tetrapylon.config import loads
from tetrapylon.config.diff import Changes, Detail, differences, excerpt, summary

BASE: dict[str, Any] = {
    "upstreams": {
        "users": {
            "targets": ["http://127.0.0.1:9001"],
            "credentials": {"user": "me", "password": "swordfish"},
        }
    },
    "routes": [
        {"path": "/a", "upstream": "users"},
        {"path": "/b", "methods": ["GET"], "respond": {"body": "b"}, "name": "bees"},
    ],
}


def diff(**changed: Any) -> Changes:
    import json

    old, new = (loads(json.dumps(config), "gateway.json") for config in (BASE, {**BASE, **changed}))
    return differences(old, new)


def plain(changes: Changes | Detail) -> Any:
    return msgspec.to_builtins(changes)


def test_a_config_does_not_differ_from_itself() -> None:
    assert diff() == Changes()
    assert summary(diff()) == "nothing changed"


def test_the_order_of_routes_means_nothing() -> None:
    assert diff(routes=BASE["routes"][::-1]) == Changes()


def test_routes_come_and_go() -> None:
    found = diff(routes=[BASE["routes"][0], {"path": "/c", "host": "x.test", "respond": {}}])
    assert [(each.what, each.name) for each in found.routes] == [
        ("added", "* x.test/c"),
        ("removed", "GET /b"),
    ]
    assert summary(found) == "routes: 1 added, 1 removed"


def test_a_named_route_is_the_same_wherever_it_leads() -> None:
    found = diff(routes=[BASE["routes"][0], {**BASE["routes"][1], "path": "/bees", "methods": []}])
    (only,) = found.routes
    assert (only.what, only.name) == ("changed", "* /bees")
    assert {detail.path for detail in only.details} == {"path", "methods"}


def test_a_changed_value_is_shown_with_its_path_before_and_after() -> None:
    routes = [{**BASE["routes"][0], "timeouts": {"total": "7s"}}, BASE["routes"][1]]
    (only,) = diff(routes=routes).routes
    assert [plain(detail) for detail in only.details] == [
        {"path": "timeouts.total", "old": "(default)", "new": "7s"}
    ]


def test_settings_are_named_by_their_path() -> None:
    found = diff(server={"timeouts": {"drain": "5s"}}, policies=[{"use": "request_id"}])
    assert {detail.path for detail in found.settings} == {"server.timeouts.drain", "policies"}
    assert summary(found) == "settings: 2 changed"


def test_a_secret_that_differs_is_told_and_not_shown() -> None:
    users = BASE["upstreams"]["users"]
    found = diff(upstreams={"users": {**users, "credentials": {"user": "me", "password": "sesame"}}})
    (only,) = found.upstreams
    assert [plain(detail) for detail in only.details] == [{"path": "(a secret)", "old": "***", "new": "***"}]
    assert "sesame" not in str(plain(found))
    assert "swordfish" not in str(plain(found))


def test_an_excerpt_is_bounded_and_says_what_it_leaves_out() -> None:
    many = [{"path": f"/{n}", "respond": {"body": "x"}} for n in range(150)]
    found = diff(routes=[*many, found_route()])
    kept = excerpt(found)
    assert len(found.routes) == 152
    assert (len(kept.routes), kept.left_out) == (100, 52)
    (changed,) = [each for each in excerpt(diff(routes=[found_route()])).routes if each.what == "changed"]
    assert len(changed.details[0].new) == 303
    assert changed.details[0].new.endswith("...")
    assert excerpt(Changes()) == Changes()


def found_route() -> dict[str, Any]:
    return {**BASE["routes"][0], "rewrite": "/" + "long" * 200}
