"""Becomes a gateway that ends with who measures: `python -m tetrapylon.assess.relay PARENT CONFIG`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, config: str) -> None:
    """The kernel tells it of its parent's death (prctl(2)), over execve; one that died before is seen."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        sys.exit("who measures has gone")
    os.execv(sys.executable, [sys.executable, "-m", "tetrapylon", "run", config])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
