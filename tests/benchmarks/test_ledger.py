"""What the benchmarks of users' Python have measured, and its page."""

from benchmarks.ledger import DATA, PAGE, Bar, render


def test_the_page_is_made_of_the_data() -> None:
    assert DATA.exists()
    assert PAGE.read_text() == render()


def test_a_bar_goes_by_the_median_of_the_rounds() -> None:
    bar = Bar("a / b", 0.5, (0.4, 0.9, 0.5))
    assert (bar.value, bar.met) == (0.5, True)
    assert "0.500 x (0.400 to 0.900): bar 0.500 met" in str(bar)
    assert not Bar("a / b", 0.45, (0.4, 0.9, 0.5)).met
