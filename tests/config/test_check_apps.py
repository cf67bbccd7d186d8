"""What a config says of apps."""

import asyncio

import pytest

from tests.config.test_check import said
from tetrapylon import Request, embed
from tetrapylon.config import decode, encode, loads, validate
from tetrapylon.config.diff import differences
from tetrapylon.config.mask import masked
from tetrapylon.errors import ConfigError
from tetrapylon.testing import Running, running


def said_by(request: Request) -> dict[str, str]:
    return {"by": "a function"}


@pytest.mark.parametrize(
    ("app", "problem"),
    [
        ("{}", ": it is not said what to run; expected one of `wsgi:"),
        ("{wsgi: 'a:b', asgi: 'a:b'}", ": it is said twice what to run; expected one of"),
        (
            "{wsgi: shop.app}",
            ".wsgi: 'shop.app' names no app; expected MODULE:NAME, such as shop.app:app",
        ),
        ("{asgi: 'a:b', threads: 4}", ".threads: an ASGI app has no threads here; leave it out"),
        ("{wsgi: 'a:b', folder: /nowhere/at/all}", ".folder: there is no folder /nowhere/at/all"),
        ("{wsgi: 'a:b', processes: 0}", ".processes: "),
    ],
)
def test_what_cannot_be_hosted(app: str, problem: str) -> None:
    (found,) = said(f"apps: {{legacy: {app}}}")
    assert f": apps.legacy{problem}" in found


def test_an_upstream_of_the_same_name() -> None:
    (found,) = said("apps: {a: {wsgi: 'x:y'}}\nupstreams: {a: {targets: ['http://h:1']}}")
    assert "apps.a: there is an upstream 'a' too; choose another name" in found


def test_what_a_function_makes() -> None:
    assert loads("apps: {a: {wsgi: 'shop.app:create_app()'}}", "g.yaml").apps["a"].wsgi is not None


def test_a_server_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tetrapylon.config.apps.find_spec", lambda name: None)
    (found,) = said("apps: {legacy: {wsgi: 'a:b'}}")
    assert 'apps.legacy.wsgi: a WSGI app is run by gunicorn, which is missing; pip install "' in found


def test_a_route_leads_to_one_place() -> None:
    text = "apps: {a: {wsgi: 'x:y'}}\nroutes: [{path: /, app: a, respond: {}}]"
    (found,) = said(text)
    assert "the route has `app` already" in found


def test_an_app_is_an_upstream() -> None:
    to = "split: {to: [{upstream: a, weight: 1}, {upstream: b, weight: 1}]}"
    config = loads(
        "apps: {a: {wsgi: 'x:y'}, b: {asgi: 'x:z'}}\nroutes: [{path: /, app: a}, {path: /s, " + to + "}]",
        "g.yaml",
    )
    assert config.routes[0].upstreams == ("a",)
    assert set(config.upstreams) == {"a", "b"}


def test_it_is_shown_as_it_was_written_and_can_be_loaded_again() -> None:
    text = "{apps: {a: {wsgi: 'x:y'}}, routes: [{path: /, app: a}]}"
    config = loads(text, "g.yaml")
    shown = masked(config)
    assert shown == {"apps": {"a": {"wsgi": "x:y"}}, "routes": [{"path": "/", "app": "a"}]}
    assert masked(validate(config)) == shown
    assert decode(encode(config)) == config


def test_what_changes_of_one_is_told_as_it_is_written() -> None:
    before, after = (
        loads(f"apps: {{a: {{wsgi: 'x:y', timeouts: {{response: {time}}}}}}}", "g.yaml")
        for time in ("5s", "9s")
    )
    found = differences(before, after)
    assert not found.upstreams
    assert [(each.path, each.old, each.new) for each in found.settings] == [
        ("apps.a.timeouts.response", "5s", "9s")
    ]


def test_what_is_wrong_with_its_upstream_is_told_of_the_app() -> None:
    (found,) = said("apps: {a: {wsgi: 'x:y', retry: {on: [connect], methods: [POST], try_timeout: 40s}}}")
    assert "apps.a." in found


def test_nobody_hosts_them_in_a_program_of_ones_own() -> None:
    config = loads("{apps: {a: {wsgi: 'x:y'}}, routes: [{path: /, app: a}]}", "g.yaml")
    with asyncio.Runner() as runner, pytest.raises(ConfigError) as embedding:
        embed(config, runner.get_loop())
    with pytest.raises(ConfigError) as testing:
        Running(config, {})
    assert "apps.a: apps are not hosted here; `tetrapylon run` does" in str(embedding.value)
    assert "apps.a: apps are not hosted here; give a function in its place" in str(testing.value)


def test_a_test_gives_a_function_in_their_place() -> None:
    with running({"apps": {"a": {"wsgi": "x:y"}}, "routes": [{"path": "/", "app": "a"}]}, a=said_by) as shop:
        assert shop.get("/").json() == {"by": "a function"}
