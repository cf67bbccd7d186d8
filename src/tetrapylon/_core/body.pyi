"""Bodies that somebody wants whole, or changes."""

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Filter, Sink

@disjoint_base
class Collector(Sink):
    """Takes a request's body until it is whole."""

class Gatherer(Filter):
    """The last of the filters that a collected response passes before the policy has it."""
