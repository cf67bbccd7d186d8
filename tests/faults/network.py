"""A target behind a network of its own: a namespace at the other end of a pair of virtual interfaces."""

import os
import shutil
import subprocess
from types import TracebackType
from typing import Self

from tests.faults.target import Target


class Unavailable(Exception):
    """This machine cannot do it; says why."""


def call(*words: str) -> None:
    """Raises Unavailable with what the command complained of."""
    if os.geteuid() != 0:
        raise Unavailable("network namespaces are for root")
    if shutil.which(words[0]) is None:
        raise Unavailable(f"there is no {words[0]}: install iproute2")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(words)}: {done.stderr.strip()}")


class Remote:
    """A context manager; `target` is the process behind the link. Raises Unavailable."""

    _made = 0

    def __init__(self) -> None:
        Remote._made += 1
        # 15 characters are what an interface may have (IFNAMSIZ).
        self._name = f"tf{os.getpid() % 100000}x{Remote._made}"
        here, there = f"{self._name}a", f"{self._name}b"
        net = f"10.213.{os.getpid() % 250}"
        self._interface = here
        try:
            call("ip", "netns", "add", self._name)
            call("ip", "link", "add", here, "type", "veth", "peer", "name", there)
            call("ip", "link", "set", there, "netns", self._name)
            call("ip", "address", "add", f"{net}.{4 * Remote._made + 1}/30", "dev", here)
            call("ip", "link", "set", here, "up")
            inside = ("ip", "netns", "exec", self._name)
            call(*inside, "ip", "address", "add", f"{net}.{4 * Remote._made + 2}/30", "dev", there)
            call(*inside, "ip", "link", "set", there, "up")
            self.target = Target(f"{net}.{4 * Remote._made + 2}:0", under=inside)
        except Unavailable:
            self._remove()
            raise

    def unplug(self) -> None:
        """What is sent there is lost without a word."""
        call("ip", "netns", "exec", self._name, "ip", "link", "set", f"{self._name}b", "down")
        call("ip", "neigh", "replace", self.target.address.rpartition(":")[0], "lladdr", "02:00:00:00:00:01",
             "dev", self._interface)  # fmt: skip

    def plug(self) -> None:
        call("ip", "netns", "exec", self._name, "ip", "link", "set", f"{self._name}b", "up")
        call("ip", "neigh", "del", self.target.address.rpartition(":")[0], "dev", self._interface)

    def shape(self, *rules: str) -> None:
        """As tc-netem(8) takes them, both ways: `delay`, `20ms`, `loss`, `3%`. Raises Unavailable."""
        call("tc", "qdisc", "replace", "dev", self._interface, "root", "netem", *rules)
        inside = ("ip", "netns", "exec", self._name)
        call(*inside, "tc", "qdisc", "replace", "dev", f"{self._name}b", "root", "netem", *rules)

    def close(self) -> None:
        self.target.close()
        self._remove()

    def _remove(self) -> None:
        for words in (("ip", "link", "del", self._interface), ("ip", "netns", "del", self._name)):
            subprocess.run(words, capture_output=True, check=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
