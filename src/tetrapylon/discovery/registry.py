"""What a registry is, and which one a config names (leaf: it knows the model alone)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tetrapylon.errors import LoadError

if TYPE_CHECKING:
    from tetrapylon.config.model import Discover, Target
    from tetrapylon.errors import ConfigError

__all__ = ["Registry", "SettingsError", "make", "name_of", "settings_of"]

PLACE = re.compile(r"^(.*?)(?: - at `\$(.*)`)?$", re.DOTALL)
STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


class Registry(Protocol):
    """Where targets are found."""

    def targets(self) -> AsyncIterator[Iterable[str | Target] | ConfigError]:
        """The whole set, each time it may have changed; an error for one that is no set of targets.

        Raises whatever keeps it from knowing, and is asked anew after a pause.
        """


class SettingsError(ValueError):
    """Settings that do not fit the class's own; `path` leads to what does not."""

    def __init__(self, message: str, path: tuple[str | int, ...]) -> None:
        self.message = message
        self.path = path
        super().__init__(message)


def name_of(discover: Discover) -> str:
    """In words, for messages."""
    if discover.dns is not None:
        return f"DNS ({discover.dns.name})"
    if discover.file is not None:
        return f"the file {discover.file.path}"
    return f"etcd ({discover.etcd.prefix})" if discover.etcd is not None else str(discover.use)


def settings_of(discover: Discover) -> tuple[Any, msgspec.Struct | None]:
    """The class of the user's that is named, and its settings. Raises LoadError or SettingsError."""
    import inspect

    from tetrapylon.code.load import load_object, place_of

    assert discover.use is not None
    kind = load_object(discover.use)
    where = place_of(kind)
    if not inspect.isclass(kind):
        raise LoadError(f"{discover.use} is of type {type(kind).__name__}", "expected a class", where)
    if not inspect.isasyncgenfunction(getattr(kind, "targets", None)):
        hint = "expected `async def targets(self)` that yields sets of targets"
        raise LoadError(f"{discover.use} finds no targets", hint, where)
    settings = getattr(kind, "Settings", None)
    if settings is None:
        if discover.settings:
            raise SettingsError(f"{discover.use} has no Settings", (next(iter(discover.settings)),))
        return kind, None
    if not (inspect.isclass(settings) and issubclass(settings, msgspec.Struct)):
        raise LoadError(
            f"{discover.use}.Settings is no msgspec Struct", "derive it from msgspec.Struct", where
        )
    unknown = sorted(discover.settings.keys() - set(settings.__struct_encode_fields__))
    if unknown:
        known = ", ".join(sorted(settings.__struct_encode_fields__)) or "none"
        raise SettingsError(f"unknown key; {discover.use}.Settings has {known}", (unknown[0],))
    try:
        return kind, msgspec.convert(discover.settings, settings)
    except msgspec.ValidationError as error:
        found = PLACE.match(str(error))
        assert found is not None
        path = tuple(name or int(index) for name, index in STEP.findall(found[2] or ""))
        raise SettingsError(found[1], path) from None


def make(discover: Discover) -> Registry:
    """Raises LoadError, SettingsError, or what the class itself does."""
    if discover.dns is not None:
        from tetrapylon.discovery.dns import DnsRegistry

        return DnsRegistry(discover.dns)
    if discover.file is not None:
        from tetrapylon.discovery.file import FileRegistry

        return FileRegistry(discover.file)
    if discover.etcd is not None:
        from tetrapylon.discovery.etcd import EtcdRegistry

        return EtcdRegistry(discover.etcd)
    kind, settings = settings_of(discover)
    registry: Registry = kind() if settings is None else kind(settings)
    return registry
