"""What discovery found last, kept by the supervisor: every worker is told, also one that is born later."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tetrapylon.processes.channel import APP, Found, content_of, file_of
from tetrapylon.processes.child import Child

__all__ = ["Findings"]


class Findings:
    def __init__(self) -> None:
        self.targets: dict[str, tuple[bytes, bytes]] = {}
        """By upstream: the fingerprint of where they were found, and the set as MessagePack."""
        self._behind: set[Child] = set()
        """Workers that could not be told."""

    def take(self, message: Found, file: int, workers: Iterable[Child]) -> None:
        self.targets[message.upstream] = (message.fingerprint, content_of(file))
        for each in workers:
            if each.channel is not None and not each.channel.send(message, [file]):
                self._behind.add(each)

    def put(self, app: str, targets: bytes, workers: Iterable[Child]) -> None:
        """As `take`, of a hosted app and with targets as MessagePack."""
        file = file_of(targets, "found")
        self.take(Found(app, APP), file, workers)
        os.close(file)

    def catch_up(self) -> None:
        """Tells those that did not listen; a successor of one has it from the start."""
        for child in list(self._behind):
            for upstream, (fingerprint, targets) in self.targets.items():
                file = file_of(targets, "found")
                told = child.channel is None or child.channel.send(Found(upstream, fingerprint), [file])
                os.close(file)
                if not told:
                    break
            else:
                self._behind.discard(child)
