"""The vocabulary of the data plane: one request in flight, where it comes from and where it goes."""

from tetrapylon._core.reactor import Reactor, Timed

class Source:
    """Where a message's body comes from: it pushes, until it is paused."""

class Sink(Source):
    """Where a message goes; each end of an exchange is the sink of one message and source of the other."""

class Destination:
    """What a route leads to: answers a request, now or later."""

class Stages:
    """The stages of an exchange's life, as its ends see them."""

    @property
    def reactor(self) -> Reactor: ...

class Peer:
    """Who is on the other side of a client connection."""

class Plan:
    """What happens to the requests of one route; `stages.make_plan` makes one. Immutable."""

    @property
    def name(self) -> str: ...

class Exchange(Timed):
    """One request in flight and its answer. It knows no connection and no socket."""

def live_exchanges() -> int:
    """Exchanges taken from the free list and not given back, in this process."""
