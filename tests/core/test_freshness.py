"""Freshness, age and what a request may have, held against RFC 9111 written down plainly."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from hypothesis import example, given
from hypothesis import strategies as st

from tetrapylon._core.caching.freshness import verdict

NOW = 1_800_000_000
"""The wall clock as the response comes, in seconds since 1970."""
BEFORE = 1000.0
"""The monotonic one as it is asked for."""


def date(seconds: int) -> bytes:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True).encode()


@dataclass(frozen=True)
class Said:
    """A response, or a request, in terms of what it says. None: it does not say."""

    flags: frozenset[str] = frozenset()
    numbers: tuple[tuple[str, int], ...] = ()
    date: int | None = None
    expires: int | None = None
    modified: int | None = None
    age: int | None = None
    cookie: bool = False
    status: int = 200

    @property
    def known(self) -> dict[str, int]:
        return dict(self.numbers)

    def fields(self) -> list[tuple[bytes, bytes]]:
        directives = [*sorted(self.flags), *(f"{name}={number}" for name, number in self.numbers)]
        found = [(b"Cache-Control", directive.encode()) for directive in directives]
        for name, value in (
            (b"Date", self.date),
            (b"Expires", self.expires),
            (b"Last-Modified", self.modified),
        ):
            if value is not None:
                found.append((name, date(value)))
        if self.age is not None:
            found.append((b"Age", str(self.age).encode()))
        if self.cookie:
            found.append((b"Set-Cookie", b"a=b"))
        return found


KEPT = {200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 451, 501}
HEURISTIC = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}
"""RFC 9110 section 15.1, without 206."""


def lifetime(response: Said, share: float, ttl: int) -> int | None:
    """RFC 9111 section 4.2.1, and 4.2.2 where the config asks for it."""
    known = response.known
    if "s-maxage" in known:
        return known["s-maxage"]
    if "max-age" in known:
        return known["max-age"]
    made = response.date if response.date is not None else NOW
    if response.expires is not None:
        return max(0, response.expires - made)
    if response.status not in HEURISTIC and "public" not in response.flags:
        return None
    if share and response.modified is not None and response.modified < made:
        guessed = min(86400, int((made - response.modified) * share))
        if guessed > 0:
            return guessed
    return ttl or None


def model(
    response: Said, request: Said, took: float, later: float, personal: bool, share: float, ttl: int
) -> tuple[str, float, float, bool] | None:
    # Section 3: storing.
    if response.status not in KEPT or response.flags & {"no-store", "private"} or response.cookie:
        return None
    shareable = (
        response.flags & {"public", "must-revalidate", "proxy-revalidate"} or "s-maxage" in response.known
    )
    if personal and not shareable:
        return None
    fresh_for = lifetime(response, share, ttl)
    if fresh_for is None:
        return None
    # Section 4.2.3: age.
    apparent = max(0, NOW - response.date) if response.date is not None else 0
    corrected = (response.age or 0) + took
    age = max(apparent, corrected) + later
    # Sections 4.2.4 and 5.2.2: when stale is never enough.
    strict = bool(response.flags & {"must-revalidate", "proxy-revalidate"}) or "s-maxage" in response.known
    faulty = (
        not strict
        and "no-cache" not in response.flags
        and age - fresh_for < response.known.get("stale-if-error", 0)
    )
    use = "ask"
    wanted = request.known
    if (
        "no-cache" in response.flags | request.flags
        or age > wanted.get("max-age", float("inf"))
        or ("min-fresh" in wanted and fresh_for - age < wanted["min-fresh"])
    ):
        use = "ask"
    elif fresh_for > age:
        use = "use"
    elif strict:
        use = "ask"
    elif "max-stale" in request.flags or age - fresh_for <= wanted.get("max-stale", -1):
        use = "use stale"
    elif age - fresh_for < response.known.get("stale-while-revalidate", 0):
        use = "use and ask"
    return use, age, fresh_for, faulty


seconds = st.integers(0, 200)
half_seconds = st.integers(0, 400).map(lambda halves: halves / 2)


def some(*names: str) -> st.SearchStrategy[tuple[tuple[str, int], ...]]:
    return st.dictionaries(st.sampled_from(names), seconds).map(lambda found: tuple(sorted(found.items())))


responses = st.builds(
    Said,
    flags=st.frozensets(
        st.sampled_from(["no-store", "private", "public", "no-cache", "must-revalidate", "proxy-revalidate"]),
        max_size=2,
    ),
    numbers=some("max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"),
    date=st.none() | st.integers(NOW - 200, NOW + 20),
    expires=st.none() | st.integers(NOW - 100, NOW + 300),
    modified=st.none() | st.integers(NOW - 3000, NOW + 20),
    age=st.none() | seconds,
    cookie=st.sampled_from([False] * 9 + [True]),
    status=st.sampled_from([200] * 6 + [404, 302, 206, 500, 403, 301]),
)
requests = st.builds(
    Said,
    flags=st.frozensets(st.sampled_from(["no-cache", "max-stale", "no-transform"]), max_size=1),
    numbers=some("max-age", "min-fresh", "max-stale"),
).filter(lambda said: not ("max-stale" in said.flags and "max-stale" in said.known))


@given(
    response=responses,
    request=requests,
    took=half_seconds,
    later=half_seconds,
    personal=st.booleans(),
    share=st.sampled_from([0.0, 0.1]),
    ttl=st.sampled_from([0, 50]),
)
@example(
    response=Said(numbers=(("max-age", 10),)),
    request=Said(),
    took=4.0,
    later=6.0,
    personal=False,
    share=0.0,
    ttl=0,
)
def test_it_is_as_the_rfc_says(
    response: Said, request: Said, took: float, later: float, personal: bool, share: float, ttl: int
) -> None:
    expected = model(response, request, took, later, personal, share, ttl)
    found = verdict(
        (response.status, response.fields()),
        request.fields(),
        sent=BEFORE,
        came=BEFORE + took,
        now=NOW,
        asked=BEFORE + took + later,
        personal=personal,
        share=share,
        ttl=ttl,
    )
    assert found == expected


def test_of_several_the_least_counts_and_what_is_no_number_is_over() -> None:
    for directives, lifetime_ in {
        b"max-age=10, max-age=20": 10,
        b"max-age=20,max-age=10": 10,
        b"max-age=x": 0,
        b"max-age": 0,
        b"max-age=-1": 0,
        b"max-age=1.5": 0,
        b'max-age="30"': 30,
        b"MAX-AGE=30": 30,
        b'ext="max-age=5, no-store", max-age=30': 30,
        b"max-age=99999999999999999999": 2147483648,
    }.items():
        found = verdict((200, [(b"cache-control", directives)]), [], sent=1.0, came=1.0, now=NOW, asked=1.0)
        assert found is not None, directives
        assert found[2] == lifetime_, directives
