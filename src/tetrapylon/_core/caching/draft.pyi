"""Responses on their way into the store: whole, or not at all."""

from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Filter

@disjoint_base
class Asked:
    """One request to the origin, as far as its answer is to be kept."""

@disjoint_base
class Draft(Filter):
    """Copies a body as it passes."""
