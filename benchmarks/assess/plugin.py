"""Work of this gateway's own: a plugin that computes or waits."""

import asyncio
import time

import msgspec

from tetrapylon import Request

from .durations import seconds


class Work:
    class Settings(msgspec.Struct, frozen=True):
        recipe: str
        busy: bool = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    async def on_request(self, request: Request) -> None:
        due = time.perf_counter() + seconds(self.settings.recipe, int(request.path.rpartition("/")[2]))
        if not self.settings.busy:
            await asyncio.sleep(due - time.perf_counter())
        while self.settings.busy and time.perf_counter() < due:
            pass
