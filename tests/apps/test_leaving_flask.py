"""docs/leaving-flask.md: each of its steps is run, and the team's own tests against it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.apps.alone import gunicorn
from tests.harness.client import Client, request
from tests.harness.gateway import COMMANDS, Gateway
from tests.harness.wait import eventually
from tests.meta.source import ROOT
from tetrapylon.cli import main
from tetrapylon.diff import Answer, Rules, compare

pytestmark = pytest.mark.sockets("apps are hosted by the supervisor")

PAGE = (ROOT / "docs" / "leaving-flask.md").read_text()
STEPS = dict(re.findall(r"^## (\d)\. .*?\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
CONFIGS = {
    step: found[1] for step, text in STEPS.items() if (found := re.search(r"```yaml\n(.*?)```", text, re.S))
}
SHORT = {"compared: 1000,": "compared: 20,", "hold: 10m": "hold: 100ms\n      requests: 10"}
"""What takes a team days, in a test."""
FREE = {"127.0.0.1:8000": "127.0.0.1:0", "127.0.0.1:9901": "127.0.0.1:0"}
KEY = ("X-API-Key", "spring-sale-2026")
ASKED: tuple[tuple[str, list[tuple[str, str]]], ...] = (
    ("/users/1", [KEY]),
    ("/users/9", [KEY]),
    ("/orders/search?user=1", []),
    ("/home/2", []),
    ("/quotes/1?size=3", []),
)


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, str]]:
    """Where the services are, as the gateway's environment has it."""
    with gunicorn("examples.shop.services:app", {"PYTHONPATH": str(ROOT)}) as address:
        yield {"USERS_URL": f"http://{address}", "ORDERS_URL": f"http://{address}", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def alone(services: dict[str, str]) -> Iterator[str]:
    """The Flask app under gunicorn alone: where it all begins."""
    with gunicorn("examples.shop.flask_gateway:app", services) as address:
        yield address


def passes_the_teams_tests(address: str) -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "examples/shop/test_flask_gateway.py",
        ],
        cwd=ROOT,
        env={**os.environ, "SHOP_URL": f"http://{address}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stdout


def answers_alike(alone: str, address: str) -> None:
    """By the semantic diff. A request that is refused is told in another form, which the page says."""
    for target, fields in ASKED:
        left, right = answer(alone, target, fields), answer(address, target, fields)
        assert not compare(left, right, Rules(headers=["content-type", "location", "set-cookie"])), target


def answer(address: str, target: str, fields: list[tuple[str, str]]) -> Answer:
    with Client(address) as client:
        found = client.ask("GET", target, fields)
    headers = [(name.lower().encode(), value.encode()) for name, value in found.headers]
    return Answer(found.status, headers, found.body)


def config_of(step: str) -> str:
    """As it stands on the page, but for the ports."""
    text = CONFIGS[step]
    for named, free in (FREE | SHORT).items():
        text = text.replace(named, free)
    return text


def asked_of_the_app(gateway: Gateway) -> set[str]:
    """The routes whose requests the app was sent, by the access log."""
    return {each["route"] for each in gateway.access_log if str(each.get("upstream")).startswith("legacy/")}


def commands(step: str) -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", STEPS[step], re.DOTALL)
    return [line[2:].split() for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_page_has_seven_steps() -> None:
    assert list(STEPS) == list("1234567")
    assert list(CONFIGS) == list("34567")


def test_step_1_the_command(services: Mapping[str, str], alone: str) -> None:
    ((name, verb, *arguments),) = commands("1")
    assert (name, verb) == ("tetrapylon", "run")
    arguments = [FREE.get(each, each) for each in arguments]
    with Gateway(None, *arguments, env=services) as gateway:
        answers_alike(alone, gateway.address)
        passes_the_teams_tests(gateway.address)


def test_step_2_a_config(services: Mapping[str, str], alone: str, tmp_path: Path) -> None:
    migrate, run = commands("2")
    told = subprocess.run(
        [*COMMANDS["socket"], *migrate[1:]],
        cwd=tmp_path,
        env={**os.environ, **services},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1] in STEPS["2"]
    text = (tmp_path / run[-1]).read_text()
    for said in ("only forwards", "checks a key", "limits a rate", "merges answers"):
        assert said in text
    with Gateway(text, "--listen", "127.0.0.1:0", env=services) as gateway:
        answers_alike(alone, gateway.address)
        passes_the_teams_tests(gateway.address)
    routes = {each["route"] for each in gateway.access_log}
    assert len(routes) == 4, "each request is of a route of its own"


def test_step_3_the_shadow(services: Mapping[str, str], alone: str) -> None:
    with Gateway(config_of("3"), env=services) as gateway:
        assert gateway.admin is not None
        answers_alike(alone, gateway.address)
        for number in range(20):
            assert answer(gateway.address, f"/orders/search?user={number}", []).status == 200

        def told() -> Any:
            with Client(str(gateway.admin)) as operator:
                found = json.loads(operator.send(request("GET", "/diff", host="localhost")).response().body)
            return found[0] if found else {"compared": 0}

        eventually(lambda: bool(told()["compared"] >= 20), "they are compared", within=30)
        assert told()["different"] == 0
        passes_the_teams_tests(gateway.address)


def orders(address: str, client: str, count: int) -> None:
    """As many requests of a client with this address: the limit is one for each."""
    host, _, port = address.partition(":")
    connection = HTTPConnection(host, int(port), source_address=(client, 0), timeout=20)
    for number in range(count):
        connection.request("GET", f"/orders/search?user={number}")
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
    connection.close()


def test_step_4_the_move(services: Mapping[str, str], alone: str, capsys: pytest.CaptureFixture[str]) -> None:
    """From the shadow by all steps to the end, with the commands of the page."""
    ((_, *show), (_, *approve)) = commands("4")
    with Gateway(config_of("4"), env=services) as gateway:
        assert gateway.admin is not None

        def told(*arguments: str) -> str:
            assert main([*arguments, "--admin", str(gateway.admin)]) == 0
            return capsys.readouterr().out.splitlines()[0]

        assert told(*show).startswith("orders: 0% to orders, comparing")
        orders(gateway.address, "127.0.0.2", 40)
        eventually(lambda: told(*show).startswith("orders: 0% to orders, proposed, next 10%"), "it may begin")
        for client, share, following in (
            ("127.0.0.3", "10%", "50%"),
            ("127.0.0.4", "50%", "100%"),
            ("127.0.0.5", "100%", None),
        ):
            taken = told(*approve)
            assert taken.startswith(f"orders: {share} to orders, holding")
            assert taken.endswith(": approved (admin)")
            answers_alike(alone, gateway.address)
            if following is None:
                orders(gateway.address, client, 20)
                eventually(lambda: told(*show).startswith("orders: 100% to orders, moved"), "it has moved")
            else:
                assert f"next {following}" in taken
                requests_of = iter(range(10, 250))
                step = f"orders: {share} to orders, proposed, next {following}"

                def held() -> bool:
                    orders(gateway.address, f"127.0.1.{next(requests_of)}", 20)  # noqa: B023
                    return told(*show).startswith(step)  # noqa: B023

                eventually(held, "the step is held", within=30)
        before = len(gateway.access_log)
        passes_the_teams_tests(gateway.address)
    asked = [each for each in gateway.access_log[before:] if each["route"] == "orders"]
    assert asked
    assert not any(str(each.get("upstream")).startswith("legacy/") for each in asked), "the app rests"


def test_step_5_the_view_can_go(services: Mapping[str, str], tmp_path: Path) -> None:
    code = (ROOT / "examples" / "shop" / "flask_gateway.py").read_text()
    smaller = re.sub(r'@app\.route\("/orders/.*?(?=^@app)', "", code, flags=re.DOTALL | re.MULTILINE)
    assert "def orders" not in smaller
    (tmp_path / "smaller.py").write_text(smaller)
    config = config_of("5").replace("examples.shop.flask_gateway:app", "smaller:app")
    with Gateway(config, cwd=tmp_path, env=services) as gateway:
        passes_the_teams_tests(gateway.address)


@pytest.mark.parametrize(
    ("step", "left"),
    [("5", {"/{rest:path}"}), ("6", {"/{rest:path}"}), ("7", set())],
)
def test_a_step_moves_routes(step: str, left: set[str], services: Mapping[str, str], alone: str) -> None:
    """`left`: of which routes the app is still asked."""
    with Gateway(config_of(step), env=services) as gateway:
        answers_alike(alone, gateway.address)
        passes_the_teams_tests(gateway.address)
    assert asked_of_the_app(gateway) == left


def test_a_step_is_a_reload_and_so_is_the_way_back(services: Mapping[str, str], alone: str) -> None:
    with Gateway(config_of("5"), env=services) as gateway:
        for step, generation in (("6", 2), ("5", 3), ("7", 4)):
            gateway.write(config_of(step))
            gateway.signal(1)
            gateway.wait_line(f"applied, generation {generation}", within=20)
            answers_alike(alone, gateway.address)
