"""What the gateway tells its operator on standard error: one line an event (leaf)."""

import os
import time
from typing import Literal

Level = Literal["warning", "error"]

STDERR = 2


def line(text: str) -> None:
    """Writes a line in one system call, so that lines of several processes never mix.

    Standard error may be a full disk or a closed pipe: what cannot be told must not stop the gateway.
    """
    data = text.encode("utf-8", "backslashreplace") + b"\n"
    try:
        os.write(STDERR, data)
    except OSError:
        return


def say(level: Level, text: str) -> None:
    """`2026-01-31T12:00:00.123Z warning worker 0 (pid 4711) ...`"""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    line(f"{stamp}.{int(now * 1000) % 1000:03d}Z {level} {text}")
