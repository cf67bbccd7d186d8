from typing import final

from tetrapylon._core.flights import Flights
from tetrapylon._core.limits import Table

@final
class Amounts:
    """The shared memory of rates, quotas and requests in flight, for so many workers.

    It is made before they are forked.
    """

    rates: Table
    quotas: Table
    flights: Flights

    def __new__(cls, workers: int) -> Amounts: ...
