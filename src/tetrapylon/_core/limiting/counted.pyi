"""What policies that count requests by key have in common: who is asked, and what is told."""

from collections.abc import Iterable
from typing import Any

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Ticket
from tetrapylon._core.policy import Policy
from tetrapylon._core.shared.limits import Table
from tetrapylon._core.telemetry.counters import Slab

@disjoint_base
class Counted(Policy):
    """The base of policy `name`; those with the same `limit` and key, of `parts`, count together in `table`.

    `batch` asks Redis, see `redis_store.Batch`; None: this machine counts alone. `windows` are what clients
    are told of, see `Fields`; `detail` is what a refusal tells people.
    """

    def __init__(
        self,
        name: str,
        settings: Any,
        parts: tuple[str, ...],
        limit: str,
        table: Table,
        slab: Slab,
        batch: Any,
        *,
        windows: Iterable[tuple[str, int, int]],
        detail: str,
    ) -> None: ...
    def answered(
        self, tickets: list[Ticket], allowed: int, remaining: int, reset: int, retry: int, window: int
    ) -> None:
        """The store has allowed so many of those who wait with one key, the first ones; times in us."""

    def unanswered(self, tickets: list[Ticket]) -> None:
        """The store says nothing: `on_failure`."""
