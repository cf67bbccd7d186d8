"""Whom the admin address answers: by Host, by token, by where it listens; and which page may give orders."""

import pytest

from tetrapylon.admin.server import Guard, crosses_sites

TOKEN = "a-token-that-nobody-guesses"


def status(guard: Guard, path: str = "/config", certified: bool = False, **headers: str) -> int:
    """200 where it lets the request pass."""
    answer = guard.refusal(path, headers, certified=certified)
    return 200 if answer is None else answer.status


class TestWithoutAToken:
    def test_loopback_and_unix_sockets_are_open(self) -> None:
        assert status(Guard(local=True, private=False), host="localhost") == 200
        assert status(Guard(local=False, private=True), host="whatever") == 200

    def test_what_other_machines_reach_answers_probes_alone(self) -> None:
        guard = Guard(local=False, private=False)
        assert [status(guard, path) for path in ("/livez", "/readyz")] == [200, 200]
        assert [status(guard, path) for path in ("/", "/config", "/metrics", "/reload")] == [403] * 4

    def test_a_name_that_is_not_this_machines_is_refused_even_for_probes(self) -> None:
        assert status(Guard(local=True, private=False), "/livez", host="evil.test") == 421


class TestWithAToken:
    @pytest.mark.parametrize(
        "guard",
        [Guard(True, False, TOKEN), Guard(False, True, TOKEN), Guard(False, False, TOKEN)],
        ids=["loopback", "unix", "beyond"],
    )
    def test_it_opens_everything_wherever_it_listens(self, guard: Guard) -> None:
        assert status(guard, host="localhost", authorization=f"Bearer {TOKEN}") == 200
        assert status(guard, host="localhost", authorization=f"bearer {TOKEN}") == 200
        assert status(guard, "/livez", host="localhost") == 200

    def test_the_page_is_open_for_it_asks_for_the_token(self) -> None:
        assert status(Guard(False, False, TOKEN), "/", host="gateway.test") == 200

    @pytest.mark.parametrize(
        "shown",
        ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN],
    )
    def test_nothing_else_does(self, shown: str) -> None:
        answer = Guard(True, False, TOKEN).refusal("/config", {"authorization": shown})
        assert answer is not None
        assert answer.status == 401
        assert ("WWW-Authenticate", 'Bearer realm="tetrapylon"') in answer.headers

    def test_a_token_does_not_help_a_rebound_name(self) -> None:
        guard = Guard(True, False, TOKEN)
        assert status(guard, host="evil.test", authorization=f"Bearer {TOKEN}") == 421


class TestWithClientCertificates:
    GUARD = Guard(False, False, certificate=True)

    def test_one_opens_everything(self) -> None:
        assert status(self.GUARD, certified=True) == 200

    def test_without_one_probes_alone_are_answered(self) -> None:
        assert [status(self.GUARD, path) for path in ("/livez", "/readyz")] == [200, 200]
        assert [status(self.GUARD, path) for path in ("/", "/config", "/metrics", "/reload")] == [403] * 4

    def test_with_a_token_too_both_are_asked_for(self) -> None:
        both = Guard(False, False, TOKEN, certificate=True)
        shown = f"Bearer {TOKEN}"
        assert status(both, certified=True, authorization=shown) == 200
        assert status(both, certified=True) == 401
        assert status(both, authorization=shown) == 403

    def test_one_does_not_help_a_rebound_name(self) -> None:
        assert status(Guard(True, False, certificate=True), certified=True, host="evil.test") == 421


@pytest.mark.parametrize(
    ("headers", "crosses"),
    [
        ({}, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"origin": "http://localhost:9901", "host": "localhost:9901"}, False),
        ({"origin": "http://localhost:3000", "host": "localhost:9901"}, True),
        ({"origin": "null", "host": "localhost:9901"}, True),
    ],
)
def test_orders_come_from_no_page_of_another_site(headers: dict[str, str], crosses: bool) -> None:
    assert crosses_sites(headers) is crosses
