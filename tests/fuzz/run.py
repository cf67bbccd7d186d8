"""One process's share of a run: batches of cases until enough is said, then what was found."""

import asyncio
import mmap
import os
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.cases import Case, request_case, response_case
from tests.fuzz.rig import Finding, Rig
from tetrapylon._core.http import parse

BATCH = 24
ENOUGH = 10
WARM = 50
GROWTH = 32 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Share:
    """So many mutated messages each way; numbers of cases start at `first`. `seconds` ends it earlier."""

    seed: int
    requests: int
    responses: int
    first: int = 0
    seconds: float = float("inf")


@dataclass
class Outcome:
    seen: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[Finding, list[Case]]] = field(default_factory=list)
    seconds: float = 0.0


class Place:
    """Where a run is, in a file that outlives a crash: direction (0 requests, 1 responses) and first case."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), 16)

    def mark(self, direction: int, number: int) -> None:
        struct.pack_into("qq", self.map, 0, direction, number)

    @staticmethod
    def read(path: Path) -> tuple[int, int]:
        direction, number = struct.unpack("qq", path.read_bytes())
        return direction, number


def cases(seed: int, direction: int, first: int) -> list[Case]:
    make = response_case if direction else request_case
    return [make(seed, number) for number in range(first, first + BATCH)]


def backend(first: int) -> str:
    """Every fifth batch is read through httptools' public API."""
    return "httptools" if first // BATCH % 5 == 4 else "llhttp"


async def work(share: Share, place: Place | None = None) -> Outcome:
    outcome = Outcome()
    began = time.monotonic()
    before = parse.backend()
    try:
        async with Rig(asyncio.get_running_loop()) as rig:
            for direction, what, enough in (
                (0, "requests", share.requests),
                (1, "responses", share.responses),
            ):
                first, warm = share.first, 0
                while rig.seen[what] < enough and time.monotonic() - began < share.seconds:
                    if place is not None:
                        place.mark(direction, first)
                    parse.use_backend(backend(first))
                    batch = cases(share.seed, direction, first)
                    await rig.run(batch)
                    outcome.findings += [(finding, involved(finding, batch)) for finding in rig.findings]
                    rig.findings.clear()
                    if len(outcome.findings) >= ENOUGH:
                        break
                    first += BATCH
                    if first - share.first == WARM * BATCH:
                        warm = resident()
                if warm and resident() - warm > GROWTH:
                    rig.find("leak", f"{(resident() - warm) >> 20} MiB more than after {WARM} batches")
                outcome.seen[f"KiB grown by {what}"] += (resident() - warm) >> 10 if warm else 0
        outcome.findings += [(finding, []) for finding in rig.findings]
    finally:
        parse.use_backend(before)
    outcome.seen += rig.seen
    outcome.seconds = time.monotonic() - began
    return outcome


def involved(finding: Finding, batch: list[Case]) -> list[Case]:
    return [case for case in batch if case.name in finding.cases]


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
