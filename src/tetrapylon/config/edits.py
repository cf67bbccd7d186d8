"""What is picked, dropped and renamed together (leaf)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tetrapylon.config.json_path import names

__all__ = ["edit_problems"]


def edit_problems(
    pick: Iterable[str], drop: Iterable[str], rename: Mapping[str, str]
) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Where they take each other's fields away: where, what is wrong, and what to do instead."""
    picked = [tuple(names(each)) for each in pick]
    dropped = [tuple(names(each)) for each in drop]
    for index, each in enumerate(picked):
        above = [other for other in picked if other != each and other == each[: len(other)]]
        if above:
            yield ("pick", index), f"{'.'.join(above[0])!r} is picked as a whole", "leave one of them out"
        elif picked.index(each) != index:
            yield ("pick", index), "it is picked twice", "leave one of them out"
    for index, each in enumerate(dropped):
        if picked and not any(each[: len(other)] == other and each != other for other in picked):
            hint = "leave it out: what is not picked goes anyway"
            yield ("drop", index), "this is not within what is picked", hint
    targets: dict[tuple[tuple[str, ...], str], str] = {}
    for old, new in rename.items():
        steps = tuple(names(old))
        if any(steps[: len(each)] == each for each in dropped):
            yield ("rename", old), f"{old!r} is dropped", "leave one of the two out"
        elif picked and not any(_meets(steps, each) for each in picked):
            yield ("rename", old), f"{old!r} is not picked", "pick it by its old name"
        first = targets.setdefault((steps[:-1], new), old)
        if first != old:
            yield ("rename", old), f"{first!r} is renamed to {new!r}, too", "choose another name"


def _meets(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Is one of two paths above or below the other?"""
    n = min(len(one), len(other))
    return one[:n] == other[:n]
