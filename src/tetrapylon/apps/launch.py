"""`python -m tetrapylon.apps.launch HOST SERVER ...`: becomes an app's server, which ends when its host does.

Run in a new interpreter, so that nothing of the gateway's is in the app's process.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(host: int, server: str) -> None:
    """The kernel tells the server of its host's death (prctl(2)); a host that died before that is seen."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG")
    if os.getppid() != host:
        sys.exit("the gateway has gone")
    runpy.run_module(server, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    name, own, *rest = sys.argv[1:]
    sys.argv = [own, *rest]
    main(int(name), own)
