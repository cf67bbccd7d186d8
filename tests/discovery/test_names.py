"""Targets whose names do not resolve: at the start, in a reload, and while they are in use."""

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Gateway, Upstream, answers, proxy
from tetrapylon._core.net.address import Address
from tetrapylon._core.upstreams.target import Target
from tetrapylon.config.net import HostPort
from tetrapylon.upstreams.resolve import Resolver

NOBODY = "nobody.invalid"
"""Never to be in DNS (RFC 6761, section 6.4)."""


def test_a_start_is_refused_by_the_place_of_the_target(tmp_path: Path) -> None:
    config = tmp_path / "gateway.json"
    config.write_text(
        '{"upstreams": {"u": {"targets": ["http://127.0.0.1:1", "http://nobody.invalid:1"]}},'
        ' "routes": [{"path": "/", "upstream": "u"}]}'
    )
    command = [str(Path(sys.executable).with_name("tetrapylon")), "run", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "upstreams.u.targets[1]: the name 'nobody.invalid' does not resolve" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reload_is_refused_and_the_last_good_targets_stay_in_use() -> None:
    with Upstream(answers.named("a")) as a, Gateway(proxy(a.url)) as gateway, gateway.client() as client:
        gateway.write(proxy(a.url, f"http://{NOBODY}:1"))
        gateway.signal(signal.SIGHUP)
        gateway.wait_line(f"the name '{NOBODY}' does not resolve", within=30)
        assert [client.ask("GET", "/").body for _ in range(4)] == [b"a"] * 4


def test_addresses_stay_in_use_while_their_name_does_not_resolve(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    known: list[str] = []

    async def look_up(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if not known:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in known]

    async def run() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", look_up)
        target = Target("users:80", host=b"users", addresses=[Address.ip("10.0.0.1", 80)])
        resolver = Resolver(loop)
        resolver.refresh(target, HostPort("users", 80))

        async def looked() -> list[str]:
            resolver.soon()
            await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
            return [each.text for each in target.addresses]

        assert await looked() == ["10.0.0.1:80"]
        assert "users does not resolve" in capfd.readouterr().err
        known.append("10.0.0.2")
        assert await looked() == ["10.0.0.2:80"]
        known.clear()
        assert await looked() == ["10.0.0.2:80"]
        assert "its last addresses stay in use" in capfd.readouterr().err
        resolver.close()

    asyncio.run(run())
