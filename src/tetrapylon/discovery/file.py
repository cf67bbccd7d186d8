"""Targets in a file that is watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tetrapylon.config import model
from tetrapylon.config.formats import FORMATS, parse
from tetrapylon.discovery.read import read_targets
from tetrapylon.errors import ConfigError, Problem

__all__ = ["FileRegistry"]

LARGEST = 16 * 2**20


class FileRegistry:
    """By content, looked at now and then: a mounted ConfigMap swaps a symlink, which no watch of it tells."""

    def __init__(self, settings: model.File) -> None:
        self._path = Path(settings.path)
        self._every = settings.every

    async def targets(self) -> AsyncIterator[tuple[model.Target, ...] | ConfigError]:
        seen: bytes | str | None = None
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.run_in_executor(None, self._read)
            if data != seen:
                seen = data
                try:
                    yield self._parse(data)
                except ConfigError as error:
                    yield error
            await asyncio.sleep(self._every)

    def _read(self) -> bytes | str:
        """Its content; in words, what keeps it from being read."""
        try:
            with self._path.open("rb") as file:
                return file.read(LARGEST + 1)
        except OSError as error:
            return f"cannot be read: {error.strerror or error}"

    def _parse(self, data: bytes | str) -> tuple[model.Target, ...]:
        """Raises ConfigError."""
        name = str(self._path)
        if isinstance(data, str):
            raise ConfigError([Problem(name, data)])
        if self._path.suffix not in FORMATS:
            hint = "expected .yaml, .json or .toml"
            raise ConfigError([Problem(name, "the name does not say its format", hint=hint)])
        if len(data) > LARGEST:
            raise ConfigError([Problem(name, f"larger than {LARGEST // 2**20}MiB")])
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ConfigError([Problem(name, "not UTF-8", hint="save the file as UTF-8 text")]) from None
        return read_targets(parse(text, name))
