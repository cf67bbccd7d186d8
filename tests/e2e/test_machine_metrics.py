"""/metrics tells what the processes take, when certificates end, and what became of the last reload."""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import Gateway, eventually, routed, secure

pytestmark = pytest.mark.sockets("there is an admin address")

ROUTES = [{"path": "/", "respond": {"body": "pong"}}]
EXPIRY = "tetrapylon_certificate_expiry_timestamp_seconds"


def ask(gateway: Gateway, method: str, path: str) -> str:
    return gateway.operate(path, method).body.decode()


def metrics(gateway: Gateway) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(ask(gateway, "GET", "/metrics"))}


def values(family: Metric, label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in family.samples}


def value(family: Metric) -> float:
    (sample,) = family.samples
    return sample.value


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    config: dict[str, Any] = routed(ROUTES, admin={"listen": "127.0.0.1:0"})
    with Gateway({**config, "server": {"workers": 2}}) as gateway:
        yield gateway


class TestProcesses:
    def test_each_tells_what_it_takes(self, gateway: Gateway) -> None:
        found = metrics(gateway)
        names = {"supervisor", "control", "worker 0", "worker 1"}
        resident = values(found["process_resident_memory_bytes"], "process")
        assert resident.keys() == names
        assert all(1 << 20 < each < 1 << 30 for each in resident.values())
        files = values(found["process_open_fds"], "process")
        assert files["supervisor"] == len(os.listdir(f"/proc/{gateway.pid}/fd"))
        most = values(found["process_max_fds"], "process")
        assert all(most[name] > files[name] > 3 for name in names)
        started = values(found["process_start_time_seconds"], "process")
        assert all(abs(time.time() - each) < 60 for each in started.values())

    def test_processor_time_grows_with_work(self, gateway: Gateway) -> None:
        def spent() -> float:
            taken = values(metrics(gateway)["process_cpu_seconds"], "process")
            return taken["worker 0"] + taken["worker 1"]

        before = spent()
        with gateway.client() as client:

            def more() -> bool:
                for _ in range(200):
                    client.ask()
                return spent() > before

            eventually(more, "processor time that is told")


class TestReloads:
    def test_a_refused_one_is_told_until_one_is_taken_on(self, gateway: Gateway) -> None:
        begun = metrics(gateway)
        assert value(begun["tetrapylon_config_last_reload_successful"]) == 1
        assert value(begun["tetrapylon_config_generation"]) == 1
        taken_on = "tetrapylon_config_last_reload_success_timestamp_seconds"
        first = value(begun[taken_on])
        assert abs(time.time() - first) < 60
        good = gateway.config_path.read_text()
        gateway.write("routes: [{path: /, respond: {bodi: pong}}]")
        ask(gateway, "POST", "/reload")
        refused = metrics(gateway)
        assert value(refused["tetrapylon_config_last_reload_successful"]) == 0
        assert value(refused["tetrapylon_config_generation"]) == 1
        assert value(refused[taken_on]) == first
        gateway.write(good.replace("pong", "ping"))
        assert json.loads(ask(gateway, "POST", "/reload"))["outcome"] == "applied"
        taken = metrics(gateway)
        assert value(taken["tetrapylon_config_last_reload_successful"]) == 1
        assert value(taken["tetrapylon_config_generation"]) == 2
        assert value(taken[taken_on]) > first


class TestCertificates:
    def test_their_ends_are_told_and_follow_the_files(self, tmp_path: Path) -> None:
        authority = secure.Authority(tmp_path)
        soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
        later = soon + timedelta(days=90)
        shown, further = authority.issue("a.test", ends=soon), authority.issue("b.test", ends=later)
        own, admin = authority.issue("gateway", ends=later), authority.issue("127.0.0.1", ends=later)
        tls = shown.config(certificates=[further.config()])
        config = {
            "server": {"listen": [{"address": "127.0.0.1:0", "tls": tls}]},
            "admin": {"listen": "127.0.0.1:0", "tls": admin.config()},
            "upstreams": {"far": {"targets": ["https://127.0.0.1:1"], "tls": own.config()}},
            "routes": [{"path": "/", "upstream": "far"}],
        }
        with Gateway(config) as gateway:

            def told() -> dict[tuple[str, str], float]:
                wrap = secure.client(authority.trusted(), "127.0.0.1")
                text = gateway.operate(wrap=wrap).body.decode()
                families = {family.name: family for family in text_string_to_metric_families(text)}
                return {
                    (sample.labels["file"], sample.labels["use"]): sample.value
                    for sample in families[EXPIRY].samples
                }

            assert told() == {
                (shown.cert, "listener"): soon.timestamp(),
                (further.cert, "listener"): later.timestamp(),
                (own.cert, "upstream"): later.timestamp(),
                (admin.cert, "admin"): later.timestamp(),
            }
            shown.replace(authority.issue("a.test", ends=later))
            assert told()[shown.cert, "listener"] == later.timestamp()
            Path(further.cert).write_text("no certificate")
            assert (further.cert, "listener") not in told()

    def test_without_any_nothing_is_told(self, gateway: Gateway) -> None:
        assert EXPIRY not in metrics(gateway)
