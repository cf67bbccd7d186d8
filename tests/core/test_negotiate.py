"""Which content coding a client gets, against a plain reading of RFC 9110 section 12.5.3."""

from hypothesis import given
from hypothesis import strategies as st

from tetrapylon._core.http.fields import date_seconds
from tetrapylon._core.http.negotiate import negotiate

CODINGS = ("identity", "gzip", "br", "zstd")
weights = st.integers(0, 1000)


def model(said: dict[str, int], offered: tuple[str, ...]) -> str:
    def weight(coding: str) -> int:
        return said.get(coding, said.get("*", 1000 if coding == "identity" else 0))

    best = max(offered, key=weight, default="identity")
    if weight(best) == 0 or said.get("identity", 0) > weight(best):
        return "identity"
    return best


@given(st.dictionaries(st.sampled_from((*CODINGS, "*", "deflate")), weights), st.permutations(CODINGS[1:]))
def test_the_best_is_chosen(said: dict[str, int], offered: list[str]) -> None:
    text = ", ".join(f"{coding};q={weight / 1000:.3f}" for coding, weight in said.items())
    assert negotiate(text, tuple(offered)) == model(said, tuple(offered))


@given(st.text(st.characters(max_codepoint=255)))
def test_nonsense_does_no_harm(text: str) -> None:
    assert negotiate(text, ("gzip", "br")) in CODINGS


def test_dates_in_all_forms() -> None:  # RFC 9110, 5.6.7
    for text in (
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov  6 08:49:37 1994",
    ):
        assert date_seconds(text) == 784111777
    assert date_seconds(b"Thu, 29 Feb 2024 00:00:00 GMT") == 1709164800
    for text in (b"", b"0", b"-1", b"Sun, 06 Foo 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 25:49:37 GMT"):
        assert date_seconds(text) is None


@given(st.binary(max_size=40))
def test_what_is_no_date_is_none(text: bytes) -> None:
    assert date_seconds(text) is None or len(text) >= 24
