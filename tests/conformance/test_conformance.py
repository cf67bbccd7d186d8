"""Every case of the table, in one piece and split at every byte, on every foundation of the gateway."""

from collections.abc import Iterator

import pytest

from tests.conformance.case import Case
from tests.conformance.cases import CASES, MAY
from tests.conformance.origin import Origin
from tests.conformance.run import judge, perform
from tests.harness import Gateway, proxy

FOUNDATIONS = [(stream, parser) for stream in ("socket", "transport") for parser in ("llhttp", "httptools")]


@pytest.fixture(scope="module", params=FOUNDATIONS, ids="-".join)
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[Origin, str]]:
    stream, parser = request.param
    with Origin() as origin:
        config = proxy(f"http://{origin.address}", log={"access": {"sample": 0}})
        with Gateway(config, stream=stream, env={"TETRAPYLON_PARSER": parser}) as gateway:
            yield origin, gateway.address


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_in_one_piece(case: Case, ends: tuple[Origin, str]) -> None:
    origin, address = ends
    seen = perform(case, address, origin)
    assert judge(case, seen) is None, seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_split_at_every_byte(case: Case, ends: tuple[Origin, str]) -> None:
    origin, address = ends
    seen = perform(case, address, origin, split=True)
    assert judge(case, seen) is None, seen


def test_the_table_has_no_two_cases_of_a_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 150


def test_what_others_may_do_is_about_cases_that_exist() -> None:
    assert {case.name for case in CASES} >= MAY.keys()
