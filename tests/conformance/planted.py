"""Each case fails against at least one proxy with a planted bug: none is a case that cannot fail."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conformance.case import Case
from tests.conformance.cases import CASES
from tests.conformance.naive import DEFECTS, Naive
from tests.conformance.origin import Origin
from tests.conformance.run import judge, perform


@pytest.fixture(scope="module")
def defective() -> Iterator[list[tuple[Origin, Naive]]]:
    with ExitStack() as stack:
        pairs = []
        for handler in DEFECTS.values():
            origin = stack.enter_context(Origin())
            pairs.append((origin, stack.enter_context(Naive(handler, origin.address))))
        yield pairs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_planted_bug_is_found(case: Case, defective: list[tuple[Origin, Naive]]) -> None:
    assert any(
        judge(case, perform(case, proxy.address, origin, patience=0.3)) is not None
        for origin, proxy in defective
    )
