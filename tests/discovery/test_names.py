"""Targets whose names do not resolve: at the start, in a reload, and while they are in use."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tetrapylon
from tests.harness import Gateway, Upstream, answers, ask, assert_problem, eventually, proxy
from tetrapylon._core.net.address import Address
from tetrapylon._core.upstreams.target import Target
from tetrapylon.config import loads, read_yaml
from tetrapylon.config.model import Config
from tetrapylon.config.model import Target as Url
from tetrapylon.config.model import Upstream as Settings
from tetrapylon.config.net import HostPort
from tetrapylon.config.tree import Document
from tetrapylon.errors import ConfigError
from tetrapylon.upstreams import resolve
from tetrapylon.upstreams.resolve import Resolver, check_names

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


def _read(*hosts: str) -> tuple[Config, Document]:
    targets = ", ".join(f"http://{host}:80" for host in hosts)
    text = f"routes: [{{path: /, upstream: u}}]\nupstreams: {{u: {{targets: [{targets}]}}}}"
    document = read_yaml.parse(text, "g.yaml")
    return loads(text, "g.yaml"), document


def _resolver(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def look_up(host: bytes, port: int, **_: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(error, "not now")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_a_resolver_in_trouble_keeps_nobody_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolver(monkeypatch, socket.EAI_AGAIN)
    check_names(*_read("users.test"))


def test_a_name_that_has_gone_keeps_no_other_change_from_coming_in(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolver(monkeypatch, socket.EAI_NONAME)
    before, document = _read("gone.test")
    check_names(before, document, before)
    with pytest.raises(ConfigError) as refused:
        check_names(*_read("gone.test", "new.test"), before)
    (problem,) = refused.value.problems
    place, _, message = str(problem).partition(": the name 'new.test' does not resolve: ")
    assert place == "g.yaml:2:48: upstreams.u.targets[1]"
    assert message.endswith("; expected a name that this machine can look up, or an IP address")


def test_a_target_without_addresses_is_looked_up_soon_and_answered_for_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo
    known = threading.Event()

    def look_up(host: Any, port: Any, *arguments: Any, **more: Any) -> list[tuple[Any, ...]]:
        if host in (b"users.test", "users.test"):
            if not known.is_set():
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            host = "127.0.0.1"
        return real(host, port, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(resolve, "AGAIN", 0.05)
    with Upstream(answers.named("a")) as upstream:
        port = upstream.address.rpartition(":")[2]
        config = msgspec.structs.replace(
            _read("users.test")[0], upstreams={"u": Settings(targets=(Url(url=f"http://users.test:{port}"),))}
        )

        async def run() -> None:
            loop = asyncio.get_running_loop()
            gateway = tetrapylon.embed(config, loop)
            server = await loop.create_server(gateway.protocol_factory, "127.0.0.1", 0)
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            refused = await asyncio.to_thread(ask, address)
            assert_problem(refused, 502, "dns_error")
            known.set()
            found = partial(eventually, lambda: ask(address).status == 200, "the target is found")
            await asyncio.to_thread(found)
            server.close()
            gateway.close()

        asyncio.run(asyncio.wait_for(run(), 10))


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
