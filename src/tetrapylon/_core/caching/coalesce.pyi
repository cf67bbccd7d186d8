"""Many requests for one thing at once: one goes for it, the others wait for what it brings."""

from typing_extensions import disjoint_base

from tetrapylon._core.caching.draft import Asked
from tetrapylon._core.policy import Policy
from tetrapylon._core.reactor import Timed

@disjoint_base
class Patience(Timed):
    """How long others wait for one request."""

@disjoint_base
class Errand(Asked):
    """A request that the store does not answer at once."""

@disjoint_base
class Coalescing(Policy):
    """A policy whose requests wait for each other."""
