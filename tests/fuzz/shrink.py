"""From a case that goes wrong to a smaller one that goes wrong in the same way."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from tests.fuzz.cases import Case, RequestCase
from tests.fuzz.rig import Finding, Rig

TRIES = 600


async def replay(cases: list[Case]) -> list[Finding]:
    """What is found when they run, all at once, through a gateway of their own."""
    async with Rig(asyncio.get_running_loop()) as rig:
        await rig.run(cases)
    return rig.findings


def smaller(case: Case, kind: str) -> Iterator[Case]:
    """Simpler neighbours: fewer messages first, then fewer cuts, then fewer bytes.

    What "refused" and "unanswered" say is wrong with a message that is right: its bytes stay.
    """
    whole = kind in ("refused", "unanswered")
    if isinstance(case, RequestCase):
        for at in range(len(case.parts) if len(case.parts) > 1 else 0):
            yield replace(
                case,
                parts=case.parts[:at] + case.parts[at + 1 :],
                musts=case.musts[:at] + case.musts[at + 1 :],
                mutations=case.mutations[:at] + case.mutations[at + 1 :],
            )
        if case.cuts:
            yield replace(case, cuts=[])
        for at in range(0 if whole else len(case.parts)):
            for said in _shorter(case.parts[at]):
                yield replace(case, parts=[*case.parts[:at], said, *case.parts[at + 1 :]])
        return
    for at in range(len(case.asked) if len(case.asked) > 1 else 0):
        yield replace(
            case, asked=case.asked[:at] + case.asked[at + 1 :], cuts=case.cuts[:at] + case.cuts[at + 1 :]
        )
    if any(case.cuts):
        yield replace(case, cuts=[[] for _ in case.cuts])
    for at, one in enumerate(() if whole else case.asked):
        for said in _shorter(one.said):
            yield replace(case, asked=[*case.asked[:at], replace(one, said=said), *case.asked[at + 1 :]])


def _shorter(said: bytes) -> Iterator[bytes]:
    size = len(said) // 2
    while size:
        for at in range(0, len(said), size):
            yield said[:at] + said[at + size :]
        size //= 2


async def shrink(case: Case, kind: str) -> Case | None:
    """The smallest that was found, or None if the case alone does not go wrong like that."""
    if not await _wrong(case, kind):
        return None
    tries = 0
    found = True
    while found and tries < TRIES:
        found = False
        for candidate in smaller(case, kind):
            tries += 1
            if await _wrong(candidate, kind):
                case, found = candidate, True
                break
            if tries == TRIES:
                break
    return case


async def _wrong(case: Case, kind: str) -> bool:
    return any(finding.kind == kind for finding in await replay([case]))
