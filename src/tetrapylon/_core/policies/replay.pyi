"""Keeps small bodies of requests, so that they can be sent again."""

from collections.abc import Iterable

from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy

@disjoint_base
class Replay(Policy):
    """Collects bodies of at most `limit` bytes, if announced, of requests with one of `methods`."""

    def __init__(self, limit: int, methods: Iterable[bytes]) -> None: ...
