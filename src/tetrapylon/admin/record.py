"""Requests that were recorded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from tetrapylon.admin.answer import Answer, Asked, Endpoint, json, problem

__all__ = ["Recorded", "endpoints"]

LINES = "application/jsonl"


class Recorded(Protocol):
    def told(self) -> dict[str, Any] | None:
        """How much there is; None where nothing is recorded."""

    def lines(self) -> Iterator[bytes]:
        """All of it, one JSON object a line, in pieces."""

    def forget(self) -> None:
        """Begins anew."""


def endpoints(recorded: Recorded) -> dict[str, Endpoint]:
    answers = _Record(recorded)
    return {
        "/record": Endpoint("how many requests the policy `record` has written, and where", answers.show),
        "/record/requests": Endpoint("those requests, one JSON object a line", answers.lines),
        "/record/forget": Endpoint("POST: remove them", answers.forget, ("POST",)),
    }


class _Record:
    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    def show(self, asked: Asked) -> Answer:
        told = self._recorded.told()
        return _nothing() if told is None else json(told)

    def lines(self, asked: Asked) -> Answer:
        if self._recorded.told() is None:
            return _nothing()
        return Answer(200, [("Content-Type", LINES)], self._recorded.lines())

    def forget(self, asked: Asked) -> Answer:
        told = self._recorded.told()
        if told is None:
            return _nothing()
        self._recorded.forget()
        return json({"forgotten": told["file"]})


def _nothing() -> Answer:
    return problem(
        409, "nothing is recorded here; the policy `record`, such as {use: record, sample: 1%}, does"
    )
