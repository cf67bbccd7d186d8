"""What a process holds, read from /proc: descriptors, connections, memory. Linux only, as the gateway is."""

import contextlib
import os
from pathlib import Path

ESTABLISHED = "01"


def children(pid: int) -> list[int]:
    """The process and all its descendants; those that go away meanwhile are left out."""
    tree = [pid]
    for parent in tree:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with contextlib.suppress(OSError):
                    tree += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
    return tree


def descriptors(pid: int) -> dict[int, str]:
    """Open descriptors and what they lead to.

    Raises:
        OSError: no such process, or not ours to look at.
    """
    held: dict[int, str] = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            held[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
    return held


def state(pid: int) -> str:
    """What the process does, as a letter: R runs, S sleeps, T is stopped, Z has ended (proc_pid_stat(5)).

    Raises:
        OSError: no such process.
    """
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def established(pid: int) -> int:
    """TCP connections of the process in state ESTABLISHED."""
    own = {link[8:-1] for link in descriptors(pid).values() if link.startswith("socket:[")}
    count = 0
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            count += fields[3] == ESTABLISHED and fields[9] in own
    return count


def pss(pid: int) -> int:
    """Memory of the process tree in bytes; what is shared counts once, split between those that share it."""
    total = 0
    for process in children(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    if not total:
        raise ProcessLookupError(f"no memory to be seen of process {pid}")
    return total


class Growth:
    """How much a process tree's memory rises above where it stood, sampled when `sample` is called."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.before = pss(pid)
        self.peak = self.before

    def sample(self) -> int:
        """Bytes more than before, at the highest so far."""
        self.peak = max(self.peak, pss(self.pid))
        return self.peak - self.before
