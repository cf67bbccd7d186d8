"""What RFC 9111 says of storing responses and using them again, as a shared cache does."""

from collections.abc import Sequence

USES: tuple[str, str, str, str]

_Fields = Sequence[tuple[bytes, bytes]]

def verdict(
    response: tuple[int, _Fields],
    request: _Fields,
    *,
    sent: float,
    came: float,
    now: int,
    asked: float,
    personal: bool = False,
    share: float = 0.0,
    most: int = 86400,
    ttl: int = 0,
    stale_while_revalidate: int = 0,
    stale_if_error: int = 0,
) -> tuple[str, float, float, bool] | None:
    """May a response answer a later request, for tests; None: it may not even be stored.

    `response` is a status and fields, `request` the fields of the later one. It was asked for at `sent` and
    came at `came`, when the wall clock said `now`; it is wanted at `asked` (monotonic and since 1970, s).
    Returns one of USES, its age and its lifetime (s), and whether it may be used where the origin fails.
    `personal`, and how freshness is guessed, are as in `freshness.pxd`. Raises MemoryError.
    """
