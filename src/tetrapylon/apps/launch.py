"""Becomes an app's server, which ends with its host: `python -m tetrapylon.apps.launch KIND HOST SETTINGS`.

Run in a new interpreter, so that nothing of the gateway's is in the app's process.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from importlib import import_module

PR_SET_PDEATHSIG = 1
IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""By the host, and so by what it starts."""


def main(kind: str, host: int, settings: str) -> None:
    """The kernel tells the server of its host's death (prctl(2)); a host that died before that is seen."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_PDEATHSIG")
    if os.getppid() != host:
        sys.exit("the gateway has gone")
    for number in IGNORED:
        signal.signal(number, signal.SIG_DFL)
    sys.path[0] = os.getcwd()  # as gunicorn and uvicorn do
    import_module(f"tetrapylon.apps.{kind}").serve(json.loads(settings))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
