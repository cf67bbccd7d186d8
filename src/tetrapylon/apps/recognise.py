"""Whether an app speaks WSGI or ASGI, found out in a process of its own, which imports it."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from tetrapylon.errors import UsageError

__all__ = ["recognise"]

SECONDS = 60.0


def recognise(reference: str, folder: str | None, env: Mapping[str, str]) -> str:
    """`wsgi` or `asgi`. What the app prints goes to standard error.

    Raises UsageError saying why there is none.
    """
    from tetrapylon.apps.inside import APP, STATUS

    heard, status = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            cwd=folder,
            env={**os.environ, **env, APP: reference, STATUS: str(status)},
            pass_fds=(status,),
            start_new_session=True,
        )
    finally:
        os.close(status)
    try:
        code = child.wait(SECONDS)
    except subprocess.TimeoutExpired:
        raise UsageError(f"{reference}: importing it took more than {SECONDS:g} s") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        with open(heard, encoding="utf-8") as file:
            told = dict(line.rstrip("\n").split(" ", 1) for line in file)
    if "failed" in told:
        raise UsageError(f"{reference}: {told['failed']}")
    if "kind" not in told:
        ended = f"by signal {-code}" if code < 0 else f"with status {code}"
        raise UsageError(f"{reference}: its process ended {ended} while it was imported")
    return told["kind"]


def kind_of(app: Callable[..., Any]) -> str:
    """An ASGI 3 app is a coroutine function, or an object that is called as one."""
    called = app if inspect.isroutine(app) else type(app).__call__
    return "asgi" if inspect.iscoroutinefunction(called) else "wsgi"


def main() -> None:
    from tetrapylon.apps.inside import load, tell

    code = 1
    try:
        tell(f"kind {kind_of(load())}")
        code = 0
    except Exception:  # noqa: BLE001 - the last frame of this process
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # An app's threads, which may never end, are not waited for.
    os._exit(code)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    main()
