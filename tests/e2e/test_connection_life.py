"""How long connections live: an age and a number of requests, on either side."""

from typing import Any

import pytest

from tests.harness import Gateway, Upstream, answers, eventually, proxy, through


class TestClientConnections:
    def test_one_is_closed_after_so_many_requests(self) -> None:
        config: dict[str, Any] = {"server": {"limits": {"requests_per_connection": 20}}}
        with through(answers.ok, **config) as (client, _, gateway):
            served = 0
            while True:
                response = client.ask()
                served += 1
                if response.headers.get("Connection") == "close":
                    break
            assert 18 <= served <= 22
            assert client.is_closed()
            with gateway.client() as another:
                assert another.ask().status == 200

    def test_each_draws_its_own_number(self) -> None:
        """Connections that were opened together do not end together."""
        config: dict[str, Any] = {"server": {"limits": {"requests_per_connection": 100}}}
        with through(answers.ok, **config) as (_, _, gateway):
            numbers = set()
            for _ in range(5):
                with gateway.client() as client:
                    served = 1
                    while client.ask().headers.get("Connection") != "close":
                        served += 1
                    numbers.add(served)
            assert len(numbers) > 1
            assert all(90 <= number <= 110 for number in numbers)

    def test_one_that_is_old_is_closed_with_its_next_answer(self) -> None:
        config: dict[str, Any] = {"server": {"timeouts": {"connection_age": "1s"}}}
        with through(answers.ok, **config) as (client, _, _):
            assert client.ask().headers.get("Connection") is None
            eventually(lambda: client.ask().headers.get("Connection") == "close", "it is told to go")
            assert client.is_closed()

    def test_without_a_limit_one_goes_on(self) -> None:
        with through(answers.ok) as (client, upstream, _):
            assert all(client.ask().headers.get("Connection") is None for _ in range(500))
            assert len(upstream.conversations) == 1


class TestUpstreamConnections:
    def test_one_is_used_for_so_many_requests(self) -> None:
        with through(answers.ok, upstream={"pool": {"max_requests": 10}}) as (client, upstream, _):
            assert all(client.ask().status == 200 for _ in range(40))
            used = [len(each.requests) for each in upstream.conversations]
            assert 4 <= len(used) <= 5
            assert all(9 <= number <= 11 for number in used[:-1])

    def test_one_that_is_old_is_used_no_more(self) -> None:
        with through(answers.ok, upstream={"pool": {"max_age": "200ms"}}) as (client, upstream, _):
            client.ask()
            eventually(
                lambda: client.ask().status == 200 and len(upstream.conversations) == 3, "it is replaced"
            )

    @pytest.mark.parametrize("number", [1])
    def test_each_request_on_a_connection_of_its_own(self, number: int) -> None:
        with through(answers.ok, upstream={"pool": {"max_requests": number}}) as (client, upstream, _):
            assert all(client.ask().status == 200 for _ in range(5))
            assert [len(each.requests) for each in upstream.conversations] == [1] * 5

    def test_one_that_grew_old_idle_is_not_used_again(self) -> None:
        with through(answers.ok, upstream={"pool": {"max_age": "100ms"}}) as (client, upstream, _):
            assert client.ask().status == 200
            assert client.is_idle(0.2)
            assert client.ask().status == 200
            assert len(upstream.conversations) == 2

    def test_one_that_grew_old_idle_leaves_its_place_to_another_target(self) -> None:
        pool = {"max_connections": 1, "max_age": "1s"}
        with Upstream(answers.ok) as one, Upstream(answers.ok) as other:
            config = proxy(one.url, other.url, upstream={"pool": pool})
            with Gateway(config) as gateway, gateway.client(timeout=2) as client:
                assert client.ask().status == 200
                assert client.is_idle(1.2)
                assert client.ask().status == 200
                assert [len(each.requests) for each in (one, other)] == [1, 1]
