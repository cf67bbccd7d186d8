"""The bar on triples by one who knew the documentation alone: noise is learned from one answer more."""

from tests.diff import strangers
from tests.diff.answers import Answer as Written
from tests.diff.answers import Case
from tetrapylon.diff import Answer, Findings, Rules
from tetrapylon.diff.findings import Pair
from tetrapylon.diff.rules import Tolerance


def wire(answer: Written) -> Answer:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    return Answer(answer.status, headers, answer.body)


def differs(case: Case) -> bool:
    settings = dict(case.config)
    tolerance = {path: Tolerance(most) for path, most in settings.pop("tolerance", {}).items()}
    findings = Findings()
    pair = Pair(case.name, "GET", "/", wire(case.first), wire(case.other), wire(case.again))
    findings.take(pair, Rules(**settings, tolerance=tolerance))
    return findings.routes[case.name].different() > 0


def test_there_are_two_hundred_of_each() -> None:
    names = [[case.name for case in cases] for cases in (strangers.real(), strangers.noise())]
    assert [len(set(each)) for each in names] == [200, 200]


def test_every_real_difference_is_found() -> None:
    assert [case.name for case in strangers.real() if not differs(case)] == []


def test_of_noise_hardly_any_is_reported() -> None:
    reported = [case.name for case in strangers.noise() if differs(case)]
    assert len(reported) <= 1, reported
