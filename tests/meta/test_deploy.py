"""What `deploy/` holds fits together, and fits the gateway."""

from typing import Any

import pytest
import yaml

from tests.meta.source import ROOT
from tetrapylon.config import loads
from tetrapylon.config.model import Config
from tetrapylon.processes.fork import Timing

DEPLOY = ROOT / "deploy"


@pytest.fixture
def manifests() -> dict[str, Any]:
    """By their kind."""
    text = (DEPLOY / "kubernetes.yaml").read_text()
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


@pytest.fixture
def config(manifests: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("ADMIN_TOKEN", "a-token-that-nobody-guesses")
    (text,) = manifests["ConfigMap"]["data"].values()
    return loads(text, "gateway.yaml")


def pod(manifests: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod's spec, and its container."""
    spec: dict[str, Any] = manifests["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def test_the_pod_has_time_for_its_pause_and_the_drain(manifests: dict[str, Any], config: Config) -> None:
    spec, container = pod(manifests)
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = config.server.timeouts.drain
    assert spec["terminationGracePeriodSeconds"] > pause + drain + Timing().grace


def test_probes_ask_where_the_gateway_answers(manifests: dict[str, Any], config: Config) -> None:
    _, container = pod(manifests)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert config.admin is not None
    assert config.admin.listen == f"0.0.0.0:{ports['admin']}"
    assert [each.address for each in config.server.listen] == [f"0.0.0.0:{ports['http']}"]
    paths = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert {each["path"] for each in paths.values()} == {"/readyz", "/livez"}
    assert {each["port"] for each in paths.values()} == {"admin"}
    assert paths["liveness"]["path"] == "/livez"


def test_names_lead_to_each_other(manifests: dict[str, Any]) -> None:
    spec, container = pod(manifests)
    (volume,) = spec["volumes"]
    (mount,) = container["volumeMounts"]
    (key,) = manifests["ConfigMap"]["data"]
    assert volume["configMap"]["name"] == manifests["ConfigMap"]["metadata"]["name"]
    assert (mount["name"], container["args"][-1]) == (volume["name"], f"{mount['mountPath']}/{key}")
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["Service"]["spec"]["ports"][0]["targetPort"] in [p["name"] for p in container["ports"]]
    assert manifests["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_pod_and_image_run_as_the_same_nobody(manifests: dict[str, Any]) -> None:
    spec, container = pod(manifests)
    user = spec["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}" in (DEPLOY / "Containerfile").read_text()
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_systemd_waits_for_longer_than_the_gateway_drains() -> None:
    lines = (DEPLOY / "tetrapylon.service").read_text().splitlines()
    unit = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    drain = loads("routes: [{path: /, respond: {}}]", "gateway.yaml").server.timeouts.drain
    assert int(unit["TimeoutStopSec"]) > drain + Timing().grace
    assert unit["Type"] == "notify"
    assert unit["KillMode"] == "mixed"
