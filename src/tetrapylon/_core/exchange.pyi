"""The vocabulary: one request in flight, where it comes from and where it goes."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from typing_extensions import disjoint_base

from tetrapylon._core.reactor import Reactor, Timed

@disjoint_base
class Source:
    """Where a message's body comes from."""

class Sink(Source):
    """Where a message goes."""

@disjoint_base
class Destination:
    """What a route leads to."""

@disjoint_base
class Ticket:
    """The right to resume an exchange that waits, once."""

    def resume(self) -> None:
        """Goes on with it; late or repeated use is counted and does nothing. For the loop's thread."""

@disjoint_base
class Consumer:
    """Who a request is from: a name, the groups it belongs to, and what else the config says of it."""

    name: Final[str]
    groups: Final[frozenset[str]]
    metadata: Final[dict[str, Any]]

    def __init__(
        self, name: str, *, groups: Iterable[str] = (), metadata: Mapping[str, Any] | None = None
    ) -> None: ...

@disjoint_base
class Filter:
    """A step of a response's body on its way down."""

@disjoint_base
class Held:
    """A response that waits for a policy."""

@disjoint_base
class Stages:
    """The stages of an exchange's life."""

    reactor: Final[Reactor]

@disjoint_base
class Peer:
    """Who is on the other side of a client connection."""

    subject: Final[bytes | None]

@disjoint_base
class Plan:
    """What happens to the requests of one route; made by `stages.make_plan`."""

    name: Final[str]

@disjoint_base
class Exchange(Timed):
    """One request in flight and its answer."""

def live_exchanges() -> int:
    """Exchanges in use now, in this process: zero when nothing is in flight."""
