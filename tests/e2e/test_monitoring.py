"""The dashboard and the alerts ask for what the gateway really tells: names, and labels."""

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import Gateway, Upstream, answers, eventually, request, secure
from tests.meta.source import ROOT
from tetrapylon._core.telemetry.counters import REJECT_NAMES
from tetrapylon.admin.metrics import FAMILIES

DEPLOY = ROOT / "deploy"
ALERTS = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

# Added by Prometheus to what it scrapes.
SCRAPED = {"job", "instance"}
METRIC = re.compile(r"\b([a-z_]+)(?:\{([^}]*)\})?(?=[\s)\[=/>-]|$)")
MATCHER = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"')
GROUPING = re.compile(r"\bby \(([^)]*)\)")
SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}")
WORDS = frozenset(("by", "or", "sum", "min", "max", "count", "vector", "time", "e"))


def expressions() -> Iterator[tuple[str, str]]:
    """What asks, and what it asks for."""
    for rule in ALERTS:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def asked(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of an expression with the labels it is chosen by. Functions stand before a parenthesis."""
    for found in METRIC.finditer(GROUPING.sub("", expression)):
        name, matchers = found.groups()
        if matchers is not None or name.startswith(("tetrapylon_", "http_", "process_", "up")):
            yield name, {matcher[1] for matcher in MATCHER.finditer(matchers or "")}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What a gateway that has seen a little of everything tells: names of samples, and their labels."""
    folder = tmp_path_factory.mktemp("monitoring")
    certificate = secure.Authority(folder).issue("localhost")
    (folder / "broken.py").write_text("def broken():\n    raise RuntimeError\n")
    with Upstream(answers.echo) as upstream:
        config = {
            "server": {"listen": ["127.0.0.1:0", {"address": "127.0.0.1:0", "tls": certificate.config()}]},
            "admin": {"listen": "127.0.0.1:0"},
            "upstreams": {"shop": {"targets": [upstream.url], "retry": {}}},
            "routes": [
                {"path": "/shop", "upstream": "shop"},
                {"path": "/broken", "handler": "broken:broken"},
                {"path": "/kept", "upstream": "shop", "policies": [{"use": "cache"}]},
                {"path": "/closed", "respond": {}, "policies": [{"use": "ip", "allow": ["10.0.0.0/8"]}]},
            ],
        }
        with (
            Gateway(config, env={"PYTHONPATH": str(folder)}, tracebacks=True) as gateway,
            gateway.client() as client,
        ):
            for path in ("/shop", "/broken", "/kept", "/closed", "/nowhere"):
                client.ask("GET", path)
            client.send(request("POST", "/shop", [("Content-Length", "9")]) + b"cut")
            upstream.conversation(0)
            client.reset()
            eventually(lambda: len(gateway.log) == 6, "all is counted")
            answer = gateway.operate()
    names: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            names[sample.name] |= sample.labels.keys()
    return names


# Told once there is something to tell, so not by the gateway above.
ON_OCCASION: dict[str, set[str]] = {
    "tetrapylon_app_restarts_total": {"app"},
    "tetrapylon_code_blocked_total": {"code"},
    "tetrapylon_code_timeouts_total": {"code"},
    "up": set(),
}


@pytest.mark.sockets("there is an admin address")
@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_what_is_asked_for_is_told(where: str, expression: str, told: dict[str, set[str]]) -> None:
    metrics = list(asked(expression))
    assert metrics, f"{where}: {expression} asks for nothing"
    known: set[str] = set()
    for name, labels in metrics:
        assert name in told or name in ON_OCCASION, f"{where}: nobody tells {name}"
        has = (told.get(name) or ON_OCCASION.get(name, set())) | SCRAPED
        assert labels <= has, f"{where}: {name} has no label {labels - has}"
        known |= has
    grouped = {label.strip() for by in GROUPING.findall(expression) for label in by.split(",")}
    assert grouped <= known, f"{where}: nothing there has {grouped - known}"


@pytest.mark.sockets("there is an admin address")
def test_legends_and_annotations_name_labels_that_are_left(told: dict[str, set[str]]) -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            grouped = {label.strip() for by in GROUPING.findall(target["expr"]) for label in by.split(",")}
            assert set(SHOWN.findall(target["legendFormat"])) <= grouped, panel["title"]
    for rule in ALERTS:
        left = {label.strip() for by in GROUPING.findall(rule["expr"]) for label in by.split(",")}
        if not left:
            names = [name for name, _ in asked(rule["expr"])]
            left = SCRAPED.union(*(told[name] if name in told else ON_OCCASION[name] for name in names))
        assert set(SHOWN.findall(" ".join(rule["annotations"].values()))) - {"value"} <= left, rule["alert"]


def test_reasons_that_alerts_choose_are_reasons() -> None:
    for _, expression in expressions():
        for reasons in re.findall(r'reason=~"([^"]*)"', expression):
            assert set(reasons.split("|")) <= set(REJECT_NAMES)


def test_what_is_told_on_occasion_is_a_family() -> None:
    assert ON_OCCASION.keys() - {"up"} <= FAMILIES.keys()


def test_alerts_say_how_bad_it_is_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["alert"].startswith("Tetrapylon")
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_each_alert_is_tried() -> None:
    tried = yaml.safe_load((DEPLOY / "alerts_test.yaml").read_text())
    named = re.findall(r"Tetrapylon\w+", yaml.safe_dump(tried))
    # Loops that are late take the same expression as a slow gateway; one that is down is `up`'s.
    assert {rule["alert"] for rule in ALERTS} - {"TetrapylonLoopLate"} <= set(named)


def test_the_dashboard_can_be_imported() -> None:
    """What Grafana wants: an id for each panel, no overlap, and one source of data that it asks for."""
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identities)) == len(identities)
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["description"], panel["title"]
    assert [each["name"] for each in DASHBOARD["templating"]["list"]] == ["datasource", "job", "instance"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here")
def test_prometheus_agrees(tmp_path: Path) -> None:
    """Also with what the dashboard asks, which promtool reads where it is written as rules."""
    filled = [re.sub(r"\$__\w+", "5m", expression) for _, expression in expressions()]
    rules = [{"record": f"dashboard:{index}", "expr": each} for index, each in enumerate(filled)]
    asked_there = tmp_path / "dashboard.yaml"
    asked_there.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    verbs = (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"])
    for verb in (*verbs, ["check", "rules", str(asked_there)]):
        ran = subprocess.run(["promtool", *verb], cwd=DEPLOY, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stdout + ran.stderr
