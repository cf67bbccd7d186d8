"""Copies of a share of the requests go to a second destination, and pairs of answers to who compares."""

import os as os
from collections import deque as deque
from collections.abc import Iterable
from typing import Any, Protocol, type_check_only

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Filter, Plan
from tetrapylon._core.policy import Policy
from tetrapylon._core.reactor import Timed
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.upstreams.call import CallStages
from tetrapylon._core.upstreams.copies import Copy

@type_check_only
class Outbox(Protocol):
    """What takes pairs; it must not raise."""

    def same(self, route: str, count: int) -> None:
        """Of so many pairs the answers are equal to the last byte."""

    def put(self, pair: tuple[Any, ...]) -> None:
        """Route, method, target, and the answers of the primary, the second, and the primary once more (or
        None), each as status, compared fields, body and fault."""

@disjoint_base
class Sample(Filter):
    """One request that is copied, with all that becomes of it; it keeps the primary's body as that passes."""

@disjoint_base
class Second(Copy):
    """A copy of a request whose answer is compared."""

@disjoint_base
class Launch(Timed):
    """Begins copies once their clients have been answered."""

@disjoint_base
class Telling(Timed):
    """Tells the outbox how many pairs were equal."""

@disjoint_base
class Shadow(Policy):
    """The last policy of its route: it sees what goes to the primary, and what comes from there.

    A copy sets out when the client has its answer, never before. A sample counts against `in_flight` from its
    request to its last answer, which bounds the memory: so many times three bodies.
    """

    def __init__(
        self,
        route: str,
        stages: CallStages,
        primary: Plan,
        second: Plan,
        slab: Slab,
        outbox: Outbox,
        *,
        sample: float,
        again: float,
        methods: Iterable[bytes],
        headers: Iterable[bytes],
        body: int,
        in_flight: int,
    ) -> None:
        """`sample` and `again` are shares, `methods` more than the safe ones, `headers` what is compared."""
    def close(self) -> None:
        """What has not set out yet never does. What is under way is told of still."""
