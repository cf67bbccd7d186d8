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
            os.write(2, f"imported after the fork: {name}\\n".encode())

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
def test_nothing_is_imported_after_the_fork(name: str) -> None:
    with Upstream(answers.ok) as upstream, Gateway(proxy(upstream.url, **CONFIGS[name])) as gateway:
        with gateway.client() as client:
            assert client.ask().status == 200
        assert gateway.stop() == 0
        assert [line for line in gateway.lines if "imported" in line] == []


@pytest.mark.usefixtures("telling")
def test_not_even_for_a_name_that_has_to_be_resolved() -> None:
    with Upstream(answers.ok) as upstream:
        named = upstream.url.replace("127.0.0.1", "localhost")
        with Gateway(proxy(named)) as gateway, gateway.client() as client:
            assert client.ask().status == 200
            assert [line for line in gateway.lines if "imported" in line] == []
