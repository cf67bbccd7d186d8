"""Gateways under measurement are started, seen whole, and stopped with all their processes."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.e2e.process import CORES, LOAD_CORE, Gateway, Upstream, memory, pinned, tree
from benchmarks.peers import Peer

FORWARD = """
import os, sys, time
pid = os.fork()
if pid == 0:
    time.sleep(60)
os.execv(sys.argv[1], [sys.argv[1], "--port", sys.argv[2]])
"""


def peer(program: str, *arguments: str) -> Peer:
    return Peer(
        name="p",
        title="P",
        folder="",
        program="",
        command=("{program}", "-c", program, *arguments),
        deploy=None,
    )


def alive(pid: int) -> bool:
    """A zombie that nobody reaps has ended too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_gateway_is_stopped_with_all_its_processes(tools: Path, upstream: Upstream, tmp_path: Path) -> None:
    forking = peer(FORWARD, str(tools / "upstream"), "{port}")
    with Gateway(forking, Path(sys.executable), upstream.port, tmp_path) as gateway:
        pids = gateway.pids()
        assert len(pids) == 2
        assert gateway.start_seconds > 0
        assert 0 < memory(pids).pss <= memory(pids).rss
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a killed process goes at its next turn, not at once"


def test_a_gateway_that_exits_is_quoted(upstream: Upstream, tmp_path: Path) -> None:
    failing = peer("import sys; sys.exit('no such port today')")
    with pytest.raises(RuntimeError, match=r"(?s)no answer after .*no such port today"):
        Gateway(failing, Path(sys.executable), upstream.port, tmp_path)


def test_a_gateway_that_never_answers_is_given_up(upstream: Upstream, tmp_path: Path) -> None:
    silent = peer("import time; time.sleep(60)")
    with pytest.raises(RuntimeError, match="p: no answer after"):
        Gateway(silent, Path(sys.executable), upstream.port, tmp_path, limit=0.3)


def test_what_is_started_inside_is_pinned_and_nothing_else() -> None:
    with pinned(LOAD_CORE):
        assert os.sched_getaffinity(0) == {LOAD_CORE}
    assert os.sched_getaffinity(0) == set(CORES)


def test_a_tree_holds_its_root() -> None:
    assert os.getpid() in tree(os.getpid())


WRITER = "import os, sys; open('log', 'a').write(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"


@pytest.mark.parametrize(("text", "lines"), [("one\ntwo\n", 2), ("", 0)])
def test_a_log_is_counted_without_what_an_earlier_run_left(
    tools: Path, upstream: Upstream, tmp_path: Path, text: str, lines: int
) -> None:
    (tmp_path / "log").write_text("old\n" * 9)
    writing = peer(WRITER, text, str(tools / "upstream"), "--port", "{port}")
    with Gateway(replace(writing, log="log"), Path(sys.executable), upstream.port, tmp_path) as gateway:
        pass
    assert gateway.logged() == lines


def test_a_system_without_a_log_has_none_to_count(tools: Path, upstream: Upstream, tmp_path: Path) -> None:
    silent = peer(WRITER, "line\n", str(tools / "upstream"), "--port", "{port}")
    with Gateway(silent, Path(sys.executable), upstream.port, tmp_path) as gateway:
        pass
    assert gateway.logged() is None
