"""Waiting for a condition: polled against a deadline, never slept for."""

import time
from collections.abc import Callable

INTERVAL = 0.005


def eventually(condition: Callable[[], bool], what: str, *, within: float = 5.0) -> float:
    """Returns after how many seconds the condition held.

    Raises:
        AssertionError: it did not hold `within` that many seconds; `what` says what was hoped for.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within:g} s: {what}")
        time.sleep(INTERVAL)
    return time.monotonic() - began
