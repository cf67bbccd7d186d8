"""Whether an app speaks WSGI or ASGI, found out in a process of its own, which imports it."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tetrapylon.errors import LoadError, UsageError

__all__ = ["recognise", "try_apps"]

SECONDS = 60.0


def recognise(reference: str, folder: str | None, env: Mapping[str, str], seconds: float = SECONDS) -> str:
    """`wsgi` or `asgi`. What the app prints goes to standard error. Its import may take so many seconds.

    Raises UsageError saying why there is none.
    """
    from tetrapylon.apps.inside import APP, STATUS
    from tetrapylon.apps.servers import why_not_started

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
    except (OSError, ValueError) as error:
        os.close(heard)
        raise UsageError(f"{reference}: its process cannot be started: {why_not_started(error)}") from None
    finally:
        os.close(status)
    try:
        code = child.wait(seconds)
    except subprocess.TimeoutExpired:
        raise UsageError(f"{reference}: importing it took more than {seconds:g} s") from None
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


def try_apps(config: int, names: Iterable[str]) -> int:
    """Whether those apps of the config in this file can be imported, which is said of each that cannot be.

    The exit status of a process that does nothing else.
    """
    from tetrapylon.apps.servers import reference
    from tetrapylon.config.wire import Encoded
    from tetrapylon.processes.channel import content_of
    from tetrapylon.processes.fork import EXIT_USAGE
    from tetrapylon.telemetry.events import say

    status = 0
    apps = Encoded(content_of(config)).head.apps
    for name in names:
        app = apps.get(name)
        if app is None:
            continue
        try:
            recognise(reference(app), app.folder, app.env, app.startup)
        except UsageError as error:
            say("error", f"app {name}: {error}", app=name)
            status = EXIT_USAGE
    return status


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
    except LoadError as error:  # which says it all, but where the app's own code has raised
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
    except Exception:  # noqa: BLE001 - the last frame of this process
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # An app's threads, which may never end, are not waited for.
    os._exit(code)


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    main()
