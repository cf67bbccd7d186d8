"""How changes and outcomes of reloads are told."""

from __future__ import annotations

import sys
import time
from typing import Any

from tetrapylon.cli.remote import Refused
from tetrapylon.cli.style import paint

__all__ = ["moment", "tell_changes", "tell_outcome", "tell_refusal"]

SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def tell_outcome(outcome: dict[str, Any]) -> None:
    tell_changes(outcome["changes"])
    words = {"valid": "would be applied", "applied": "applied", "unchanged": "unchanged"}
    what = words.get(outcome["outcome"], outcome["outcome"])
    print(f"{what}: {outcome['summary']} (generation {outcome['generation']}, {outcome['seconds']:.3f} s)")
    for setting in outcome["restart"]:
        print(f"{setting} has changed, which takes effect with a restart", file=sys.stderr)


def tell_changes(changes: dict[str, Any]) -> None:
    """One line a change: `~ GET /users: timeouts.total: 5s -> 7s`."""
    for noun in ("route", "upstream"):
        for each in changes[f"{noun}s"]:
            sign, colour = SIGNS[each["what"]]
            print(paint(f"{sign} {noun} {each['name']}", colour, sys.stdout))
            for detail in each["details"]:
                print(f"    {_detail(detail)}")
    for detail in changes["settings"]:
        print(paint(f"~ {_detail(detail)}", "yellow", sys.stdout))


def tell_refusal(refused: Refused) -> int:
    """On standard error. The exit status: 2 for a bad config."""
    problems = refused.told.get("problems") or [{"text": str(refused)}]
    for problem in problems:
        print(problem["text"], file=sys.stderr)
    if "generation" in refused.told:
        print(f"refused; generation {refused.told['generation']} stays in force", file=sys.stderr)
    return 2 if refused.status == 422 else 1


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _detail(detail: dict[str, Any]) -> str:
    return f"{detail['path']}: {_value(detail['old'])} -> {_value(detail['new'])}"


def _value(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)
