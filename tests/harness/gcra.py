"""The generic cell rate algorithm as its definition has it (ITU-T I.371), for comparison."""

from collections.abc import Iterable, Sequence

SECOND = 1_000_000_000
Rate = tuple[float, float, int]


class Reference:
    """Several windows over one key. Times in ns."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        self.windows = [(round(seconds * 1e9 / requests), burst) for requests, seconds, burst in rates]
        self.due = [0] * len(rates)

    def allows(self, at: int) -> bool:
        """One request; it counts if it is allowed."""
        due = [max(each, at) for each in self.due]
        early = [each - at for each in due]
        if any(
            ns > (burst - 1) * interval for ns, (interval, burst) in zip(early, self.windows, strict=True)
        ):
            return False
        self.due = [each + interval for each, (interval, _) in zip(due, self.windows, strict=True)]
        return True


def wrong(
    records: Iterable[tuple[int, object, bool]], rates: Sequence[Rate]
) -> list[tuple[int, object, bool]]:
    """Of the recorded decisions (time, key, verdict), those that the reference would not have made.

    Of several at one time those that were allowed came first: a refusal changes nothing.
    """
    keys: dict[object, Reference] = {}
    ordered = sorted(records, key=lambda record: (record[0], not record[2]))
    return [
        (at, key, verdict)
        for at, key, verdict in ordered
        if keys.setdefault(key, Reference(rates)).allows(at) != verdict
    ]
