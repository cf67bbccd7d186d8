"""Workers share what the supervisor imported: what each imports for itself is memory times workers."""

from pathlib import Path
from typing import Any

import pytest

from tests.harness import Gateway, Upstream, answers, proxy

# Runs first in every process; the supervisor has frozen its objects when it forks what is to be shared.
SITE = """
import gc, os, sys

class Tell:
    def find_spec(self, name, path=None, target=None):
        if gc.get_freeze_count():
            os.write(2, f"{os.getpid()} imported after the fork: {name}\\n".encode())

os.register_at_fork(after_in_child=lambda: sys.meta_path.insert(0, Tell()))
"""

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "several workers and an admin": {"server": {"workers": 2}, "admin": {"listen": "127.0.0.1:0"}},
    "trusted proxies": {"server": {"trusted_proxies": ["127.0.0.0/8"]}},
    "an access log": {"log": {"access": {"path": "-"}}},
    "policies": {"policies": [{"use": "request_id"}]},
}


@pytest.fixture
def telling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize("name", CONFIGS)
def test_workers_import_nothing_after_the_fork(name: str) -> None:
    with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, **CONFIGS[name])) as gateway:
        with gateway.client() as client:
            assert client.ask().status == 200
        assert gateway.stop() == 0
        assert imported(gateway) == []


def imported(gateway: Gateway) -> list[str]:
    """By others than the control process, which is alone in needing what it imports."""
    lines = [line for line in gateway.lines if "imported" in line]
    control = {line.split()[0] for line in lines if line.endswith(" tetrapylon.control")}
    return [line for line in lines if line.split()[0] not in control]


def test_the_supervisor_gives_back_what_it_took_to_begin() -> None:
    with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url)) as gateway:
        with gateway.client() as client:
            assert client.ask().status == 200
        supervisor, worker = (files_mapped(pid) for pid in (gateway.pid, *gateway.workers))
        assert supervisor < worker / 2


def files_mapped(pid: int) -> int:
    """KiB of files, its code above all, that a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssFile:"))


@pytest.mark.usefixtures("telling")
def test_not_even_for_a_name_that_has_to_be_resolved() -> None:
    with Upstream(answers.ok) as upstream:
        named = upstream.url.replace("127.0.0.1", "localhost")
        with Gateway(proxy(named)) as gateway, gateway.client() as client:
            assert client.ask().status == 200
            assert imported(gateway) == []
