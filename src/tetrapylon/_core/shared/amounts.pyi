from typing import final

from tetrapylon._core.shared.flights import Flights
from tetrapylon._core.shared.limits import Table

JOURNAL: str
"""The environment's name of a file in which decisions on rates are written down: as `Table.record` has it."""

@final
class Amounts:
    """The shared memory of rates, quotas, requests in flight and nonces, for so many workers.

    It is made before they are forked. The descriptors are those of another process's, to go on with.
    Raises ValueError where they hold something else, OSError where there is no memory.
    """

    rates: Table
    quotas: Table
    flights: Flights
    nonces: Table
    """Each is a key whose one request in a period has been."""

    def __new__(
        cls, workers: int, rates: int = -1, quotas: int = -1, flights: int = -1, nonces: int = -1
    ) -> Amounts: ...
