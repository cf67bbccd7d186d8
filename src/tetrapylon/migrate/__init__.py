"""From an app's own table of routes to a config in which the app serves them all, and on from there."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tetrapylon.errors import UsageError
from tetrapylon.migrate.inventory import read_app
from tetrapylon.migrate.merge import merge
from tetrapylon.migrate.propose import Services
from tetrapylon.migrate.render import entries, fresh

__all__ = ["Outcome", "migrate"]


@dataclass(frozen=True)
class Outcome:
    """`text` is the config; the lists name routes as `METHODS RULE`."""

    text: str
    framework: str
    added: list[str]
    vanished: list[str]
    states: dict[str, int]
    notes: list[str]


def migrate(
    target: str, output: str, *, app: str = "legacy", seconds: float = 60.0, write: bool = True
) -> Outcome:
    """The config for `MODULE:APP`, written to `output` unless that is `-`; a file that is there is added to.

    Raises UsageError for an app that cannot be read, ConfigError for a file that cannot be added to.
    """
    path = None if output == "-" else Path(output)
    if path is not None and path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{output}: the config is YAML; expected a name that ends in .yaml")
    inventory = read_app(target, seconds=seconds)
    root = f"{Path.cwd()}/"
    services = Services({app})
    found = entries(inventory, services, root)
    before = _before(path) if path is not None else ""
    if before.strip():
        merged = merge(before, output, target, app, inventory, found, root)
        if write and path is not None and merged.text != before:
            _replace(path, merged.text)
        return Outcome(
            merged.text, inventory.framework, merged.added, merged.vanished, merged.states, inventory.notes
        )
    text = fresh(target, app, inventory, found, services, root)
    if write and path is not None:
        _replace(path, text)
    added = [f"{','.join(entry.methods) or 'any'} {entry.rule}" for entry in found]
    return Outcome(text, inventory.framework, added, [], {"legacy": len(found)}, inventory.notes)


def _before(path: Path) -> str:
    """What the file says; empty where there is none. Raises UsageError."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        told = f"it is not UTF-8 (byte {error.start}); name another file, or move this one away"
    except OSError as error:
        told = str(error.strerror)
    raise UsageError(f"{path}: cannot be added to: {told}")


def _replace(path: Path, text: str) -> None:
    """All of it or nothing; the file's mode stays."""
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.resolve().parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, path.resolve())
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
