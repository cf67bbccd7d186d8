"""Policies: the steps of a route between the request's head and its destination, and back."""

class Policy:
    """One step of a route's chain; compiled subclasses say what it does. One object serves all exchanges."""

class Ticket:
    """The right to resume an exchange that waits. Late or repeated use is a counted no-op."""
