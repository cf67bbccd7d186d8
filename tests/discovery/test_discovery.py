"""Targets that are found while the gateway serves, and what stays when the finding fails."""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.discovery.dns_server import DnsServer, address, service
from tests.discovery.etcd import MISSING, PROGRAM, Etcd
from tests.harness import Client, Gateway, Upstream, answers, ask, eventually, request
from tetrapylon.config.loading import loads
from tetrapylon.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def serving(
    discover: dict[str, Any], *, workers: int = 1, stderr: str = "", **upstream: Any
) -> Iterator[Gateway]:
    config = {
        "server": {"workers": workers},
        "admin": {"listen": "127.0.0.1:0"},
        "upstreams": {"backend": {"discover": discover, **upstream}},
        "routes": [{"path": "/{rest:path}", "upstream": "backend"}, {"path": "/", "upstream": "backend"}],
    }
    with Gateway(config, env={"PYTHONPATH": str(ROOT)}) as gateway:
        yield gateway


@contextmanager
def named(*names: str) -> Iterator[list[Upstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Upstream(answers.named(name))) for name in names]


def seen(gateway: Gateway, count: int = 6) -> set[str]:
    """Who answers, on connections of their own: workers have them in turn."""
    return {ask(gateway.address).body.decode() for _ in range(count)}


def seen_soon(gateway: Gateway, *names: str) -> None:
    eventually(lambda: seen(gateway) == set(names), f"{names} answer", within=10)


def port(upstream: Upstream) -> int:
    return int(upstream.address.rpartition(":")[2])


# A file


def test_a_file_is_followed_without_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    with named("a", "b", "c") as (a, b, c):
        path.write_text(f"- {a.url}\n- {{url: '{b.url}', weight: 2}}\n")
        with serving({"file": {"path": str(path), "every": "50ms"}}, workers=2) as gateway:
            assert seen(gateway) == {"a", "b"}
            path.write_text(f"targets: ['{b.url}', '{c.url}']\n")
            seen_soon(gateway, "b", "c")
            assert not any("reload" in line for line in gateway.lines)


def test_targets_that_stay_keep_their_connections(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    with named("a", "b") as (a, b):
        path.write_text(json.dumps([a.url]))
        with serving({"file": {"path": str(path), "every": "50ms"}}) as gateway, gateway.client() as client:
            client.ask("GET", "/")
            path.write_text(json.dumps([a.url, b.url]))
            eventually(lambda: client.ask("GET", "/").body == b"b", "the new one is used")
            assert len(a.conversations) == 1


def test_a_target_that_goes_finishes_what_it_has_begun_and_is_left(tmp_path: Path) -> None:
    gate = threading.Event()
    path = tmp_path / "targets.json"
    with (
        Upstream(answers.raw(gate, answers.response(b"late"))) as a,
        Upstream(answers.named("b")) as b,
    ):
        path.write_text(json.dumps([a.url]))
        with serving({"file": {"path": str(path), "every": "50ms"}}) as gateway, gateway.client() as client:
            client.send(request("GET", "/"))
            a.wait_requests(1)
            path.write_text(json.dumps([b.url]))
            eventually(lambda: told(gateway, "/upstreams", partial(serves, b)), "the worker has heard of it")
            assert seen(gateway) == {"b"}
            gate.set()
            assert client.response().body == b"late"
            eventually(lambda: a.open == 0, "its connection is not kept")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- http://127.0.0.1:1\n- ftp://x:1\n", "targets.yaml:2:3: "),
        ("- [\n", "targets.yaml:2:1: "),
        ("- {url: 'http://127.0.0.1:1', wieght: 2}\n", "did you mean `weight`?"),
        ("- http://127.0.0.1:1\n- http://127.0.0.1:1\n", "is listed twice"),
        ("[]\n", "it names no target"),
        ("- {url: 'http://127.0.0.1:1', weight: 0}\n", "out of range"),
        ("surprise: 1\n", "expected a list"),
    ],
)
def test_a_file_that_is_no_list_of_targets_changes_nothing(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "targets.yaml"
    with named("a") as (a,):
        path.write_text(f"- {a.url}\n")
        with serving({"file": {"path": str(path), "every": "50ms"}}) as gateway:
            assert seen(gateway) == {"a"}
            path.write_text(content)
            assert "the last 1 targets stay in use" in gateway.wait_line(said)
            assert seen(gateway) == {"a"}
            path.write_text(f"- {a.url}\n")
            gateway.wait_line("is well again")


def test_a_file_that_goes_leaves_the_last_targets_and_its_return_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    with named("a", "b") as (a, b):
        path.write_text(f"- {a.url}\n")
        with serving({"file": {"path": str(path), "every": "50ms"}}) as gateway:
            path.unlink()
            gateway.wait_line("No such file")
            assert seen(gateway) == {"a"}
            path.write_text(f"- {b.url}\n")
            seen_soon(gateway, "b")


def test_the_targets_of_the_config_are_used_until_there_is_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    with named("a", "b") as (a, b):
        discover = {"file": {"path": str(path), "every": "50ms"}}
        with serving(discover, targets=[a.url]) as gateway:
            assert seen(gateway) == {"a"}
            path.write_text(f"- {b.url}\n")
            seen_soon(gateway, "b")


def test_a_worker_that_is_born_later_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    with named("a") as (a,):
        path.write_text(f"- {a.url}\n")
        with serving({"file": {"path": str(path)}}) as gateway:
            assert seen(gateway) == {"a"}
            path.unlink()
            worker = next(pid for pid in gateway.workers if _is_worker(pid, gateway))
            os.kill(worker, signal.SIGKILL)
            gateway.wait_line("was killed by SIGKILL")
            eventually(lambda: _answers(gateway), "its successor serves")
            assert seen(gateway) == {"a"}


def _is_worker(pid: int, gateway: Gateway) -> bool:
    """The worker is the one that holds the address that clients connect to, and is no control process."""
    return pid == min(gateway.workers)


def _answers(gateway: Gateway) -> bool:
    try:
        return ask(gateway.address).status == 200
    except OSError:
        return False


def test_a_reload_keeps_what_was_found_and_follows_what_is_new(tmp_path: Path) -> None:
    path, other = tmp_path / "targets.yaml", tmp_path / "others.yaml"
    with named("a", "b") as (a, b):
        path.write_text(f"- {a.url}\n")
        other.write_text(f"- {b.url}\n")
        config: dict[str, Any] = {
            "admin": {"listen": "127.0.0.1:0"},
            "upstreams": {"backend": {"discover": {"file": {"path": str(path), "every": "50ms"}}}},
            "routes": [{"path": "/", "upstream": "backend"}],
        }
        with Gateway(config) as gateway:
            assert seen(gateway) == {"a"}
            config["upstreams"]["backend"]["balance"] = "least_requests"
            gateway.write(config)
            gateway.signal(signal.SIGHUP)
            gateway.wait_line("generation 2")
            assert seen(gateway) == {"a"}
            config["upstreams"]["backend"]["discover"] = {"file": {"path": str(other), "every": "50ms"}}
            gateway.write(config)
            gateway.signal(signal.SIGHUP)
            gateway.wait_line("generation 3")
            seen_soon(gateway, "b")


def test_it_works_without_an_admin_address(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    with named("a") as (a,):
        path.write_text(f"- {a.url}\n")
        config = {
            "upstreams": {"backend": {"discover": {"file": {"path": str(path)}}}},
            "routes": [{"path": "/", "upstream": "backend"}],
        }
        with Gateway(config) as gateway:
            assert seen(gateway) == {"a"}


# DNS


@pytest.fixture
def dns() -> Iterator[DnsServer]:
    pytest.importorskip("aiodns")
    with DnsServer() as server:
        yield server


def by_dns(server: DnsServer, **settings: Any) -> dict[str, Any]:
    return {"dns": {"servers": [server.address], "least": "100ms", "timeout": "300ms", **settings}}


def test_addresses_are_targets_for_as_long_as_their_ttl_says(dns: DnsServer) -> None:
    with Upstream(answers.named("a")) as a, Upstream(answers.named("b"), f"127.0.0.2:{port(a)}"):
        dns.records["users.internal"] = [address("127.0.0.1", 1)]
        with serving(by_dns(dns, name="users.internal", port=port(a))) as gateway:
            assert seen(gateway) == {"a"}
            dns.records["users.internal"] = [address("127.0.0.1", 3600), address("127.0.0.2", 3600)]
            seen_soon(gateway, "a", "b")
            asked = dns.asked
            dns.records["users.internal"] = []
            eventually(lambda: len(seen(gateway, 30)) == 2, "requests go on")
            assert dns.asked == asked, "an answer that holds for an hour is not asked for again"


def test_addresses_of_both_families_are_targets(dns: DnsServer) -> None:
    with Upstream(answers.named("four")) as four, Upstream(answers.named("six"), f"[::1]:{port(four)}"):
        dns.records["users.internal"] = [address("::1", 1)]
        with serving(by_dns(dns, name="users.internal", port=port(four))) as gateway:
            assert seen(gateway) == {"six"}
            dns.records["users.internal"] = [address("127.0.0.1", 1), address("::1", 1)]
            seen_soon(gateway, "four", "six")


def test_services_tell_ports_weights_and_priorities(dns: DnsServer) -> None:
    with named("a", "b", "spare") as (a, b, spare):
        dns.records["_http._tcp.users.internal"] = [
            service(10, 3, port(a), "one.internal"),
            service(10, 1, port(b), "two.internal"),
            service(20, 1, port(spare), "one.internal"),
        ]
        dns.records["one.internal"] = [address("127.0.0.1", 60)]
        dns.records["two.internal"] = [address("127.0.0.1", 60)]
        with serving(by_dns(dns, name="_http._tcp.users.internal", srv=True)) as gateway:
            with gateway.client() as client:
                answered = Counter(client.ask("GET", "/").body for _ in range(8))
            assert answered == {b"a": 6, b"b": 2}


@pytest.mark.parametrize("trouble", ["failing", "silent", "gone"])
def test_a_resolver_in_trouble_leaves_the_last_targets(dns: DnsServer, trouble: str) -> None:
    with named("a", "b") as (a, b):
        dns.records["_x._tcp.users"] = [service(0, 1, port(a), "host")]
        dns.records["host"] = [address("127.0.0.1", 1)]
        with serving(by_dns(dns, name="_x._tcp.users", srv=True, most="200ms")) as gateway:
            assert seen(gateway) == {"a"}
            if trouble == "gone":
                dns.records.clear()
            else:
                setattr(dns, trouble, True)
            gateway.wait_line("the last 1 targets stay in use", within=10)
            assert seen(gateway) == {"a"}
            dns.failing = dns.silent = False
            dns.records["_x._tcp.users"] = [service(0, 1, port(b), "host")]
            dns.records["host"] = [address("127.0.0.1", 1)]
            seen_soon(gateway, "b")


# etcd


@pytest.fixture
def etcd() -> Iterator[Etcd]:
    if PROGRAM is None:
        pytest.skip(MISSING)
    with Etcd() as server:
        yield server


def by_etcd(server: Etcd, **settings: Any) -> dict[str, Any]:
    return {"etcd": {"endpoints": [server.url], "prefix": "/users/", "timeout": "1s", **settings}}


def test_keys_below_a_prefix_are_targets_and_watched(etcd: Etcd) -> None:
    with named("a", "b", "other") as (a, b, other):
        etcd.put("/users/1", a.url)
        etcd.put("/usersx", other.url)
        with serving(by_etcd(etcd), workers=2) as gateway:
            assert seen(gateway) == {"a"}
            etcd.put("/users/2", json.dumps({"url": b.url, "weight": 2}))
            seen_soon(gateway, "a", "b")
            etcd.delete("/users/1")
            seen_soon(gateway, "b")


@pytest.mark.parametrize("value", ["no target", '{"url": "http://127.0.0.1:1", "wieght": 2}', "{", ""])
def test_a_value_that_is_no_target_is_told_by_its_key_and_changes_nothing(etcd: Etcd, value: str) -> None:
    with named("a", "b") as (a, b):
        etcd.put("/users/1", a.url)
        with serving(by_etcd(etcd)) as gateway:
            assert seen(gateway) == {"a"}
            etcd.put("/users/2", value)
            assert "the last 1 targets stay in use" in gateway.wait_line("etcd:/users/2:")
            assert seen(gateway) == {"a"}
            etcd.put("/users/2", b.url)
            seen_soon(gateway, "a", "b")


def test_etcd_that_goes_away_leaves_the_last_targets(etcd: Etcd) -> None:
    with named("a", "b") as (a, b):
        etcd.put("/users/1", a.url)
        with serving(by_etcd(etcd)) as gateway:
            assert seen(gateway) == {"a"}
            etcd.stop()
            gateway.wait_line("the last 1 targets stay in use", within=10)
            assert seen(gateway) == {"a"}
            etcd.start()
            etcd.put("/users/1", b.url)
            seen_soon(gateway, "b")


def test_etcd_that_hangs_is_noticed_at_the_next_look(etcd: Etcd) -> None:
    with named("a") as (a,):
        etcd.put("/users/1", a.url)
        with serving(by_etcd(etcd, refresh="300ms", timeout="300ms")) as gateway:
            assert seen(gateway) == {"a"}
            etcd.freeze()
            gateway.wait_line("the last 1 targets stay in use", within=10)
            assert seen(gateway) == {"a"}


def test_a_prefix_that_is_emptied_leaves_the_last_targets(etcd: Etcd) -> None:
    with named("a") as (a,):
        etcd.put("/users/1", a.url)
        with serving(by_etcd(etcd)) as gateway:
            assert seen(gateway) == {"a"}
            etcd.delete("/users/1")
            gateway.wait_line("it names no target")
            assert seen(gateway) == {"a"}


def test_of_several_members_another_is_asked(etcd: Etcd) -> None:
    with named("a") as (a,):
        etcd.put("/users/1", a.url)
        discover = by_etcd(etcd)
        discover["etcd"]["endpoints"].insert(0, "http://127.0.0.1:1")
        with serving(discover) as gateway:
            seen_soon(gateway, "a")


def test_etcd_asks_who_is_there(etcd: Etcd) -> None:
    with named("a") as (a,):
        etcd.put("/users/1", a.url)
        etcd.ask("/v3/auth/user/add", {"name": "root", "password": "secret"})
        etcd.ask("/v3/auth/user/grant", {"user": "root", "role": "root"})
        etcd.ask("/v3/auth/enable", {})
        with serving(by_etcd(etcd, user="root", password="secret")) as gateway:
            assert seen(gateway) == {"a"}


# A class of a team's own


def test_a_class_of_a_teams_own_finds_targets(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with named("a", "b") as (a, b):
        path.write_text(a.url)
        discover = {"use": "tests.discovery.registries:Lines", "settings": {"path": str(path)}}
        with serving(discover) as gateway:
            assert seen(gateway) == {"a"}
            path.write_text("boom")
            gateway.wait_line("RuntimeError: boom; the last 1 targets stay in use")
            assert seen(gateway) == {"a"}
            path.write_text(f"{a.url} {b.url}")
            seen_soon(gateway, "a", "b")
            path.write_text("nonsense")
            gateway.wait_line("'nonsense'")
            assert seen(gateway) == {"a", "b"}


Fault = tuple[dict[str, Any], str]
FAULTS: list[Fault] = [
    ({}, "targets are to be found, and it does not say how"),
    ({"file": {"path": "x.yaml"}, "use": "a:b"}, "file and use are two ways"),
    ({"use": "tests.discovery.registries:Nobody"}, "Nobody"),
    ({"use": "tests.discovery.registries:Blunt"}, "finds no targets"),
    ({"use": "tests.discovery.registries:Lines"}, "missing required field `path`"),
    ({"use": "tests.discovery.registries:Lines", "settings": {"path": 1}}, "discover.settings.path: "),
    ({"use": "tests.discovery.registries:Lines", "settings": {"paht": "x"}}, "unknown key"),
    ({"dns": {"name": "users.internal"}}, "`port` is missing"),
    ({"dns": {"name": "users..internal", "port": 1}}, "is not a DNS name"),
    ({"dns": {"name": "users", "srv": True}}, "did you mean _http._tcp.users?"),
    ({"dns": {"name": "_h._tcp.x", "srv": True, "port": 1}}, "SRV records tell the ports"),
    ({"dns": {"name": "x", "port": 1, "servers": ["ns1"]}}, "is not the address of a resolver"),
    ({"etcd": {"endpoints": ["http://h:2379/v3"], "prefix": "/"}}, "has a path"),
    ({"etcd": {"endpoints": [], "prefix": "/"}}, "the list is empty"),
    ({"etcd": {"endpoints": ["http://h:1"], "prefix": "/", "user": "u"}}, "a user without a password"),
]


@pytest.mark.parametrize(("discover", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_check_says_what_is_wrong(discover: dict[str, Any], said: str) -> None:
    config = {
        "upstreams": {"backend": {"discover": discover}},
        "routes": [{"path": "/", "upstream": "backend"}],
    }
    with pytest.raises(ConfigError) as caught:
        loads(json.dumps(config, indent=1), "gateway.json")
    assert said in str(caught.value), str(caught.value)
    assert "gateway.json:" in str(caught.value)


def test_an_upstream_without_targets_is_told() -> None:
    with pytest.raises(ConfigError, match="`targets` is missing; expected a list, or `discover`"):
        loads('{"upstreams": {"a": {}}, "routes": [{"path": "/", "upstream": "a"}]}', "gateway.json")


def serves(upstream: Upstream, answer: Any) -> bool:
    """Whether it is the only target that has connections, or an address, in any worker."""
    (told,) = answer["upstreams"]
    return [each["url"] for each in told["targets"] if "addresses" in each] == [upstream.address]


def told(gateway: Gateway, path: str, check: Callable[[Any], bool]) -> bool:
    assert gateway.admin is not None
    with Client(gateway.admin) as client:
        answer = client.send(request("GET", path, host="localhost")).response()
    return check(json.loads(answer.body))


def test_what_was_found_is_shown_at_upstreams(tmp_path: Path) -> None:
    path = tmp_path / "targets.yaml"
    with named("a") as (a,):
        path.write_text(f"- {{url: '{a.url}', weight: 7}}\n")
        with serving({"file": {"path": str(path)}}) as gateway:
            assert told(
                gateway,
                "/upstreams",
                lambda answer: (
                    [(each["url"], each["weight"]) for each in answer["upstreams"][0]["targets"]]
                    == [(a.address, 7)]
                ),
            )
