"""Quantities as people write them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapylon.config import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("2s", 2),
        ("0s", 0),
        ("1.5s", 1.5),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("7d", 604800),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert units.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0B", 0),
        ("512B", 512),
        ("64KiB", 65536),
        ("1MiB", 1 << 20),
        ("1.5KiB", 1536),
        ("10MB", 10_000_000),
        ("1kB", 1000),
    ],
)
def test_sizes_are_bytes(text: str, count: int) -> None:
    assert units.size(text) == count


def test_rates_are_events_a_second() -> None:
    assert units.rate("100/s") == 100
    assert units.rate("6000/m") == 100
    assert units.rate("0.5/s") == 0.5


def test_shares_are_fractions() -> None:
    assert units.share("20%") == 0.2
    assert units.share("100%") == 1
    assert units.share("0.5%") == 0.005


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (units.duration, "10", "did you mean 10s?"),
        (units.duration, "5 min", "did you mean 5m?"),
        (units.duration, "2 S", "did you mean 2s?"),
        (units.duration, "soon", "expected a number with a unit"),
        (units.duration, "-1s", "expected a number with a unit"),
        (units.duration, "", "expected a number with a unit"),
        (units.duration, "1s junk", "expected a number with a unit"),
        (units.duration, "1sm", "expected a number with a unit"),
        (units.duration, "366d", "at most 365d"),
        (units.size, "64", "did you mean 64B?"),
        (units.size, "64k", "did you mean 64KiB?"),
        (units.size, "64Ki", "did you mean 64KiB?"),
        (units.size, "64mib", "did you mean 64MiB?"),
        (units.size, "64 bytes", "did you mean 64B?"),
        (units.size, "big", "expected a number with a unit"),
        (units.size, "0.3B", "not a whole number of bytes"),
        (units.size, "2000TiB", "at most 1024TiB"),
        (units.rate, "100", "expected a number per unit of time"),
        (units.rate, "100/y", "expected a number per unit of time"),
        (units.share, "20", "expected a percentage"),
        (units.share, "120%", "at most 100%"),
    ],
)
def test_what_is_wrong_says_what_to_write(read: Callable[[str], float], text: str, said: str) -> None:
    with pytest.raises(ValueError, match="; ") as error:
        read(text)
    assert said in str(error.value)


@given(st.integers(min_value=0, max_value=365 * 86400 * 1000))
def test_durations_written_are_read_back(milliseconds: int) -> None:
    assert units.duration(units.format_duration(milliseconds / 1000)) == pytest.approx(
        milliseconds / 1000, rel=1e-5
    )


@given(st.integers(min_value=0, max_value=units.LARGEST))
def test_sizes_written_are_read_back(count: int) -> None:
    assert units.size(units.format_size(count)) == count


@given(st.integers(min_value=0, max_value=1000))
def test_shares_written_are_read_back(permille: int) -> None:
    assert units.share(units.format_share(permille / 1000)) == pytest.approx(permille / 1000)


@given(st.integers(min_value=1, max_value=10**6), st.sampled_from("smhd"))
def test_rates_written_are_read_back(count: int, unit: str) -> None:
    per_second = units.rate(f"{count}/{unit}")
    assert units.rate(units.format_rate(per_second)) == pytest.approx(per_second)
