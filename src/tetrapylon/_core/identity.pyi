"""Who a request is from: where it shows a credential, what upstreams are told, how it is turned away."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Consumer
from tetrapylon._core.policy import Policy
from tetrapylon._core.telemetry.counters import Slab

REFUSALS: Final[str]

@disjoint_base
class Place:
    """Where a credential is shown: a header field, a cookie or a parameter of the query."""

    def __init__(
        self,
        kind: Literal["header", "cookie", "query"],
        name: str,
        *,
        scheme: str | None = None,
        strip: bool = False,
    ) -> None:
        """`scheme` stands in front of it in the field, as in `Authorization`; `strip` sends it no further."""

@disjoint_base
class Known(Consumer):
    """A consumer as one policy made it known: with scopes, and what upstreams are told."""

    scopes: Final[frozenset[str]]

    def __init__(
        self,
        name: str,
        *,
        groups: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        scopes: Iterable[str] = (),
        lines: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """`lines` are (name, value) of header fields for upstreams, as bytes."""

@disjoint_base
class Denial:
    """A refusal with its counter."""

@disjoint_base
class Guard(Policy):
    """A policy that turns requests away."""

    def __init__(self, policy: str, slab: Slab) -> None: ...
    def refuses(
        self,
        status: int,
        reason: str,
        title: str,
        detail: str,
        *,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """Be able to turn requests away for `reason`, a word that the log and the counters have."""

@disjoint_base
class Identity(Guard):
    """A guard that says who a request is from."""

    def __init__(self, policy: str, slab: Slab, *, optional: bool = False) -> None: ...
