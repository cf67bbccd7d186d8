"""Listening sockets: one a worker on TCP, one for all on a Unix path; what cannot be opened is named."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tetrapylon.net.listening import Listening
from tetrapylon.net.sockets import Listener, ListenError, open_listeners


@contextmanager
def opened(*addresses: str, workers: int = 1) -> Iterator[list[Listener]]:
    listeners = open_listeners(addresses, workers, "server.listen")
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_each_worker_has_a_socket_of_its_own_on_the_same_port() -> None:
    with opened("127.0.0.1:0", workers=3) as (listener,):
        sockets = [sock for index in range(3) for sock in listener.sockets(index, 3)]
        assert len({sock.fileno() for sock in sockets}) == 3
        assert {":".join(map(str, sock.getsockname())) for sock in sockets} == {listener.address}
        assert all(sock.getblocking() is False for sock in sockets)
        reach(listener.address)


def test_accepted_sockets_send_small_answers_at_once() -> None:
    with opened("127.0.0.1:0") as (listener,):
        reach(listener.address)
        listener.sockets(0, 1)[0].settimeout(5)
        accepted, _ = listener.sockets(0, 1)[0].accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_a_closed_listener_refuses() -> None:
    with opened("127.0.0.1:0", workers=2) as (listener,):
        reach(listener.address)
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            reach(listener.address)


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_ipv6_is_spelt_with_brackets_and_leaves_ipv4_alone() -> None:
    with opened("[::]:0") as (listener,):
        port = listener.address.rpartition(":")[2]
        assert listener.address == f"[::]:{port}"
        assert listener.url == f"http://[::]:{port}"
        reach(f"[::1]:{port}")
        with opened(f"0.0.0.0:{port}"):
            reach(f"127.0.0.1:{port}")


def test_a_host_name_stands_for_its_addresses() -> None:
    with opened("localhost:0", workers=2) as listeners:
        assert {listener.address.rpartition(":")[0] for listener in listeners} <= {"127.0.0.1", "[::1]"}
        assert len({listener.address.rpartition(":")[2] for listener in listeners}) == 1
        for listener in listeners:
            reach(listener.address)


def refusal(*addresses: str) -> str:
    with pytest.raises(ListenError) as caught, opened(*addresses):
        raise AssertionError("it was opened")
    assert "\n" not in str(caught.value)
    assert "server.listen" in str(caught.value)
    return str(caught.value)


def test_an_unknown_host_is_refused() -> None:
    assert "the host name 'no-such-host.invalid' is unknown" in refusal("no-such-host.invalid:0")


@pytest.mark.parametrize("reuse", [False, True])
def test_a_port_in_use_is_refused_even_by_a_sharer(reuse: bool) -> None:
    """A second gateway of the same user would otherwise get half of the first one's connections."""
    with socket.socket() as taken:
        if reuse:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = refusal(f"127.0.0.1:{port}")
        assert text.startswith(f"cannot listen on 127.0.0.1:{port}: the port is in use")
        assert f"sport = :{port}" in text


def test_a_port_whose_last_connections_linger_is_taken() -> None:
    with opened("127.0.0.1:0") as (listener,):
        reach(listener.address)
        listener.sockets(0, 1)[0].settimeout(5)
        accepted, _ = listener.sockets(0, 1)[0].accept()
        accepted.close()  # the client closed first, so TIME_WAIT is on its side; the port is what counts
    with opened(listener.address):
        reach(listener.address)


def test_an_address_of_another_machine_is_refused() -> None:
    assert "this machine has no such address" in refusal("192.0.2.1:0")


def test_an_address_given_twice_is_refused() -> None:
    with opened("127.0.0.1:0") as (listener,):
        address = listener.address
    assert f"{address} is listed twice" in refusal(address, address)


def test_a_refusal_leaves_nothing_open(tmp_path: Path) -> None:
    with opened("127.0.0.1:0") as (listener,):
        address = listener.address
    path = tmp_path / "s"
    refusal(address, f"unix:{path}", "192.0.2.1:0")
    assert not path.exists()
    with pytest.raises(ConnectionRefusedError):
        reach(address)


def failing(number: int) -> Callable[..., None]:
    def bind(self: socket.socket, address: Any) -> None:
        raise OSError(number, os.strerror(number))

    return bind


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_privileged_port_is_refused_with_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(socket.socket, "bind", failing(number))
    text = refusal("127.0.0.1:80")
    assert "no permission" in text
    assert "CAP_NET_BIND_SERVICE" in text


def test_any_other_failure_is_told_in_the_systems_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "bind", failing(errno.ENOBUFS))
    assert os.strerror(errno.ENOBUFS) in refusal("127.0.0.1:0")


class TestUnix:
    def test_all_workers_share_it(self, tmp_path: Path) -> None:
        with opened(f"unix:{tmp_path}/s", workers=3) as (listener,):
            assert listener.sockets(0, 3) == listener.sockets(2, 3)
            assert listener.address == listener.url == f"unix:{tmp_path}/s"

    def test_it_is_removed_when_closed(self, tmp_path: Path) -> None:
        with opened(f"unix:{tmp_path}/s"):
            assert (tmp_path / "s").is_socket()
        assert not (tmp_path / "s").exists()

    def test_one_that_another_put_in_its_place_is_left(self, tmp_path: Path) -> None:
        with opened(f"unix:{tmp_path}/s"):
            (tmp_path / "s").unlink()
            with closing(socket.socket(socket.AF_UNIX)) as other:
                other.bind(str(tmp_path / "s"))
        assert (tmp_path / "s").is_socket()

    def test_a_child_closes_its_copy_without_removing_it(self, tmp_path: Path) -> None:
        with opened(f"unix:{tmp_path}/s") as (listener,):
            listener.keep()
            assert (tmp_path / "s").exists()

    def test_a_stale_one_is_taken_over(self, tmp_path: Path) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as stale:
            stale.bind(str(tmp_path / "s"))
            stale.listen()
        with opened(f"unix:{tmp_path}/s"), closing(socket.socket(socket.AF_UNIX)) as client:
            client.connect(str(tmp_path / "s"))

    def test_a_live_one_is_refused_and_left(self, tmp_path: Path) -> None:
        with opened(f"unix:{tmp_path}/s"):
            assert "another process listens there" in refusal(f"unix:{tmp_path}/s")
            assert (tmp_path / "s").exists()

    def test_a_live_one_with_a_full_queue_is_refused_too(self, tmp_path: Path) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as busy:
            busy.bind(str(tmp_path / "s"))
            busy.listen(0)
            with closing(socket.socket(socket.AF_UNIX)) as first:
                first.connect(str(tmp_path / "s"))
                assert "another process listens there" in refusal(f"unix:{tmp_path}/s")

    def test_a_file_that_is_no_socket_is_refused_and_left(self, tmp_path: Path) -> None:
        (tmp_path / "s").write_text("precious")
        assert "not a socket" in refusal(f"unix:{tmp_path}/s")
        assert (tmp_path / "s").read_text() == "precious"

    def test_a_missing_directory_is_refused(self, tmp_path: Path) -> None:
        assert "its directory does not exist" in refusal(f"unix:{tmp_path}/absent/s")


class TestAChangeUnderWay:
    """A child that is forked meanwhile has no use for what comes, and must not keep what goes."""

    def test_a_worker_keeps_its_own_alone(self, tmp_path: Path) -> None:
        with closing(Listening(["127.0.0.1:0", f"unix:{tmp_path}/gone"], 1, ())) as listening:
            own = listening.of(0)
            change = listening.change(["127.0.0.1:0", f"unix:{tmp_path}/new"], 2, ())
            assert listening.of(0) == own, "on the second worker's socket nobody listens yet"
            listening.keep(0)  # as in a fork
            assert [sock.fileno() >= 0 for sock, _ in own] == [True, True]
            coming = [sock for _, more in change.grown for sock in more]
            coming += [sock for listener in change.fresh for sock in listener.sockets(0, 1)]
            assert len(coming) == 2
            assert all(sock.fileno() == -1 for sock in coming)
            listening.undo(change)

    def test_what_has_gone_is_closed_in_children_before_it_is_in_all_workers(self, tmp_path: Path) -> None:
        with closing(Listening(["127.0.0.1:0", "127.0.0.1:0#2"], 1, ())) as listening:
            (_, _), (gone, _) = listening.of(0)
            change = listening.change(["127.0.0.1:0"], 1, ())
            listening.commit(change)
            assert gone.fileno() >= 0, "what is in its queue is for a worker to accept"
            listening.keep(None)  # as in a fork
            assert gone.fileno() == -1
            listening.settle()
