"""Registries of a team's own, as tests name them in a config."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from tetrapylon import Target


class Lines:
    """A target a line of a file; `boom` raises."""

    class Settings(msgspec.Struct, frozen=True):
        path: str
        weight: int = 1

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def targets(self) -> AsyncIterator[list[Target]]:
        while True:
            text = await asyncio.to_thread(Path(self.settings.path).read_text)
            if "boom" in text:
                raise RuntimeError("boom")
            yield [Target(url=line, weight=self.settings.weight) for line in text.split()]
            await asyncio.sleep(0.05)


class Blunt:
    """No async generator."""

    def targets(self) -> list[str]:
        return []
