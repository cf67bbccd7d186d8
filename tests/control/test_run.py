"""`supervise.run`: from the name of a config to a serving gateway, or to a message and an exit status."""

import re
import signal
from pathlib import Path

import pytest

from tests.control.running import Running, children

CONFIG = """
server: {listen: ["127.0.0.1:0"], workers: 2, timeouts: {drain: 1s}}
admin: {listen: "127.0.0.1:0"}
routes:
  - {path: /, methods: [GET], host: shop.test, respond: {body: hello}}
  - {path: /named, name: "a \\"name\\"", respond: {body: hello}}
"""


def write(directory: Path, text: str) -> str:
    path = directory / "gateway.yaml"
    path.write_text(text)
    return str(path)


def test_it_serves_what_the_config_says(tmp_path: Path) -> None:
    with Running(tmp_path, config=write(tmp_path, CONFIG), listen=[]) as gateway:
        assert "(2 workers), admin on" in gateway.stderr
        assert sorted(gateway.workers()) == [0, 1]
        _, text = gateway.admin("/metrics")
        labels = 'http_route="/",tetrapylon_route_methods="GET",server_address="shop.test"'
        assert f"tetrapylon_received_bytes_total{{{labels}}} 4000\n" in text
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0


def test_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    unix = f"unix:{tmp_path}/s"
    with Running(tmp_path, config=write(tmp_path, CONFIG), listen=[unix], workers=1) as gateway:
        assert f"listening on {unix} (1 worker), admin on http://127.0.0.1:" in gateway.stderr


def test_without_an_admin_address_there_is_no_control_process(tmp_path: Path) -> None:
    with Running(tmp_path, config=write(tmp_path, "routes: [{path: /, respond: {}}]\n")) as gateway:
        assert children(gateway.pid) == [gateway.ask()["pid"]]
        assert re.search(r"listening on http://127\.0\.0\.1:\d+ \(1 worker\)\n", gateway.stderr)


def test_readers_of_the_config_leave_nothing_in_memory(tmp_path: Path) -> None:
    with Running(tmp_path, config=write(tmp_path, CONFIG)) as gateway:
        for pid in [gateway.pid, *children(gateway.pid)]:
            assert "_yaml" not in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("routes: [{path: /, respond: {bodi: x}}]", "bodi"),
        ("server: {listen: ['nowhere']}", "lacks a port"),
        ("routes: [", "gateway.yaml:2:1: not YAML"),
        ("", "gateway.yaml"),
    ],
)
def test_a_bad_config_is_refused_with_status_2_and_no_traceback(tmp_path: Path, text: str, told: str) -> None:
    with Running(tmp_path, ready=False, config=write(tmp_path, text)) as gateway:
        assert gateway.wait() == 2
        assert told in gateway.stderr
        assert "Traceback" not in gateway.stderr


def test_a_missing_config_is_refused_by_name(tmp_path: Path) -> None:
    with Running(tmp_path, ready=False, config=str(tmp_path / "absent.yaml")) as gateway:
        assert gateway.wait() == 2
        assert "absent.yaml" in gateway.stderr
        assert "no such file" in gateway.stderr


def test_a_config_that_cannot_be_compiled_is_refused(tmp_path: Path) -> None:
    with Running(tmp_path, ready=False, config=write(tmp_path, CONFIG), fail="refuse") as gateway:
        assert gateway.wait() == 2
        assert "2 routes cannot be compiled" in gateway.stderr
        assert "Traceback" not in gateway.stderr
