"""Clients that ask without a pause while something happens to the gateway."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.harness.client import Client
from tests.harness.wait import eventually

PATIENCE = 30.0
"""Seconds without a byte after which a request has failed: more than a busy machine takes."""


class Load:
    """`answered` counts the answers of status 200, `failures` has what else came of a request.

    `slowest` is the longest that an answer took, in seconds.
    """

    def __init__(self, address: str, path: str, *, keep: bool, method: str = "GET") -> None:
        self.answered = 0
        self.failures: list[str] = []
        self.slowest = 0.0
        self._address = address
        self._path = path
        self._keep = keep
        self._method = method
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                with Client(self._address, record=False, timeout=PATIENCE) as client:
                    self._ask(client)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a request that failed
                self.failures.append(repr(error))

    def stop(self) -> None:
        self._over.set()

    def _ask(self, client: Client) -> None:
        """On one connection, until the gateway says that it takes no more there."""
        while not self._over.is_set():
            began = time.monotonic()
            response = client.ask(self._method, self._path)
            self.slowest = max(self.slowest, time.monotonic() - began)
            if response.status == 200:
                self.answered += 1
            else:
                self.failures.append(repr(response))
            if not self._keep or response.headers.get("Connection") == "close":
                return


@contextmanager
def load(address: str, path: str = "/", *, clients: int = 4, method: str = "GET") -> Iterator[Sequence[Load]]:
    """Half of the clients keep their connections. Asserts at the end that not one request failed."""
    loads = [Load(address, path, keep=bool(index % 2), method=method) for index in range(clients)]
    threads = [threading.Thread(target=each.run, daemon=True) for each in loads]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: all(each.answered > 2 for each in loads), "the clients are at it")
        yield loads
        before = [each.answered for each in loads]
        eventually(
            lambda: all(each.answered > count for each, count in zip(loads, before, strict=True)),
            "the clients still get answers",
        )
    finally:
        for each in loads:
            each.stop()
        for thread in threads:
            thread.join(10)
    failures = [failure for each in loads for failure in each.failures]
    assert not failures, f"{len(failures)} requests failed: {failures[:5]}"
