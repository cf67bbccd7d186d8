"""Copies of requests on their way to somebody else, too: for a mirror, and for a shadow."""

from typing_extensions import disjoint_base

from tetrapylon._core.upstreams.call import Call

@disjoint_base
class Copy(Call):
    """A request made of another exchange's, by compiled code alone."""

    def __init__(self) -> None: ...
