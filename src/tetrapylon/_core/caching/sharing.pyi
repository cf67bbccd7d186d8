"""Answers that machines share: those of a worker's store that come from beyond it, and go there."""

from typing import Any

from typing_extensions import disjoint_base

from tetrapylon._core.caching.coalesce import Coalescing
from tetrapylon._core.caching.store import Stored
from tetrapylon.stores.redis_records import Answer

@disjoint_base
class Question:
    """A request that waits until it is known what lies beyond."""

@disjoint_base
class Sharing(Coalescing):
    """A policy whose store has a `SharedAnswers` behind it, which calls these."""

    def resumed(self, question: Question, mark: bytes | None, same: bool, record: Answer | None) -> None:
        """What the worker has lies there (`same`), or this does (`record`), or nothing.

        `mark` is how far changes have come; None: nothing is known, for the store is away.
        """

    def varies(self, question: Question, vary: bytes) -> None:
        """Several lie there, by what the request says in these fields: lower case, between commas."""

def record_of(stored: Stored) -> dict[str, Any]:
    """What goes beyond, as keyword arguments of `SharedAnswers.keep`; it is known there by a new id.

    Times are in microseconds.
    """
