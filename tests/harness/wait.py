"""Waiting for a condition: polled against a deadline, never slept for."""

import time
from collections.abc import Callable

INTERVAL = 0.005
PROMPTLY = 0.1
ATTEMPTS = 10


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


def promptly(attempt: Callable[[], float]) -> None:
    """The attempt, which returns how many seconds it took, can be made in a tenth of one.

    A machine with other work delays some attempts; a timer or a poll in what is tested delays all.

    Raises:
        AssertionError: none was as fast as that.
    """
    took: list[float] = []
    while not took or took[-1] > PROMPTLY:
        assert len(took) < ATTEMPTS, f"never within {PROMPTLY:g} s: {took}"
        took.append(attempt())
