"""Policies: what a route does to its requests besides sending them on."""

from typing_extensions import disjoint_base

@disjoint_base
class Policy:
    """One step of a route's chain; a policy derives from it and names its settings' Struct `Settings`."""

@disjoint_base
class Ticket:
    """The right to resume an exchange that waits, once."""
