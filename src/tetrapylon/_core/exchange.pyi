"""The vocabulary: one request in flight, where it comes from and where it goes."""

from typing import Final

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
