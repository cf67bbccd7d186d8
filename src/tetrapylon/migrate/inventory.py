"""What an app serves: its routes as its own tables have them, read in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tetrapylon.errors import TetrapylonError, UsageError

__all__ = ["AppRoute", "Guard", "Inventory", "Place", "Trouble", "read_app"]


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """A function: `ref` is MODULE:QUALNAME; `file` is empty where no source is known."""

    ref: str
    file: str = ""
    line: int = 0


class Guard(msgspec.Struct, frozen=True, omit_defaults=True):
    """A security scheme that a framework itself knows: FastAPI's `APIKeyHeader` and its kin."""

    kind: str
    """`api_key`, `bearer` or `basic`."""
    place: str = ""
    """`header`, `query` or `cookie`."""
    name: str = ""


class AppRoute(msgspec.Struct, omit_defaults=True):
    """One rule of the app's table."""

    rule: str
    """As the app spells it."""
    path: str
    """As a route of the gateway has it; it takes all that the rule takes, and perhaps more."""
    view: Place
    methods: list[str] = []
    """None listed: the app takes any."""
    host: str | None = None
    notes: list[str] = []
    """What the path does not say that the rule does."""
    before: list[Place] = []
    """What runs before the view: hooks, dependencies."""
    guards: list[Guard] = []
    handlers: dict[str, Place] = {}
    """A class's functions by method, where it is no single function."""


class Inventory(msgspec.Struct, omit_defaults=True):
    framework: str
    interface: str
    """`wsgi` or `asgi`."""
    routes: list[AppRoute]
    modules: dict[str, str]
    """The app's own modules that are loaded, with their files."""
    notes: list[str] = []


class Trouble(msgspec.Struct):
    """Why there is no inventory."""

    message: str
    where: str = ""
    hint: str = ""


def read_app(target: str, *, seconds: float = 60.0) -> Inventory:
    """The routes of `MODULE:APP`, imported in a child process with the working directory on its path.

    Whatever the app prints goes to standard error. Raises UsageError saying why it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="tetrapylon-migrate-") as folder:
        answer = Path(folder, "inventory.json")
        command = [sys.executable, "-m", "tetrapylon.migrate.child", target, str(answer)]
        # stdout is the table's own: what the app says at import must not be taken for it.
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True
        )
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise UsageError(
                f"{target}: importing it took more than {seconds:g} s; does it start to serve when it is"
                ' imported? put that under `if __name__ == "__main__":`'
            ) from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, 9)
                child.wait()
        try:
            told = answer.read_bytes()
        except FileNotFoundError:
            ended = f"by signal {-code}" if code < 0 else f"with status {code}"
            raise UsageError(f"{target}: its process ended {ended} while it was imported") from None
    if code:
        trouble = msgspec.json.decode(told, type=Trouble)
        where = f" ({trouble.where})" if trouble.where else ""
        hint = f"; {trouble.hint}" if trouble.hint else ""
        raise UsageError(f"{target}: {trouble.message}{where}{hint}")
    try:
        return msgspec.json.decode(told, type=Inventory)
    except msgspec.DecodeError as error:
        raise TetrapylonError(f"{target}: its process answered what cannot be read: {error}") from error
