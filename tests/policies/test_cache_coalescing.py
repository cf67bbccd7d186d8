"""Many at once: one request to the origin, and what becomes of those who wait; refreshing meanwhile."""

import threading
from contextlib import ExitStack

import pytest

from tests.harness import Client, answers, chunk, eventually, request
from tests.policies.caching import FRESH, Cached, cached, status_of
from tests.policies.rig import metrics

TAG = ("ETag", '"one"')


def clients(
    stack: ExitStack, rig: Cached, count: int, *fields: tuple[str, str], target: str = "/"
) -> list[Client]:
    """Connections that have all asked."""
    made = [stack.enter_context(rig.gateway.client()) for _ in range(count)]
    for client in made:
        client.send(request("GET", target, fields))
    return made


def wait_in_flight(rig: Cached, count: int) -> None:
    """Until so many requests are under way in the gateway."""

    def there() -> bool:
        lines = metrics(rig.gateway).splitlines()
        return any(line == f"http_server_active_requests {count}" for line in lines)

    eventually(there, f"{count} requests are under way")


def wait_asked(rig: Cached, count: int) -> None:
    eventually(lambda: rig.origin.count == count, f"the origin has seen {count} requests")


def test_a_thousand_misses_at_once_are_one_request() -> None:
    with cached() as rig, ExitStack() as stack:
        rig.origin.gate = threading.Event()
        waiting = clients(stack, rig, 1000)
        wait_in_flight(rig, 1000)
        rig.origin.gate.set()
        told = [client.response() for client in waiting]
        assert {response.body for response in told} == {b"1"}
        assert rig.origin.count == 1
        assert sum("collapsed" in status_of(response) for response in told) == 999


def test_each_uri_and_each_variant_is_asked_for_once() -> None:
    with cached() as rig, ExitStack() as stack:
        rig.origin.fields = (FRESH, ("Vary", "X-Kind"))
        rig.origin.gate = threading.Event()
        kinds = [clients(stack, rig, 5, ("X-Kind", kind)) for kind in "ab"]
        kinds.append(clients(stack, rig, 5, target="/other"))
        wait_in_flight(rig, 15)
        rig.origin.gate.set()
        bodies = [{client.response().body for client in kind} for kind in kinds]
        assert [len(kind) for kind in bodies] == [1, 1, 1]
        assert rig.origin.count == 3


@pytest.mark.parametrize(
    "fields",
    [
        (("Cache-Control", "no-store"),),
        (FRESH, ("Set-Cookie", "a=b")),
        (),
        (("Cache-Control", "max-age=0"), TAG),
    ],
)
def test_what_is_not_for_all_is_asked_for_by_each(fields: tuple[tuple[str, str], ...]) -> None:
    with cached() as rig, ExitStack() as stack:
        rig.origin.fields = fields
        rig.origin.gate = threading.Event()
        waiting = clients(stack, rig, 10)
        wait_in_flight(rig, 10)
        wait_asked(rig, 1)
        rig.origin.gate.set()
        bodies = [client.response().body for client in waiting]
        assert len(set(bodies)) == 10
        rig.origin.gate = threading.Event()
        waiting = clients(stack, rig, 10)
        wait_asked(rig, 20)  # nobody waits for what is known to be no use
        rig.origin.gate.set()
        assert all(client.response().status == 200 for client in waiting)


def test_what_turns_out_to_be_too_large_is_asked_for_by_each() -> None:
    with cached(max_object="1KiB") as rig, ExitStack() as stack:
        rig.origin.say = lambda request: (
            answers.chunked_head(headers=[FRESH])
            + b"".join(chunk(b"x" * 900) for _ in range(3))
            + b"0\r\n\r\n"
        )
        rig.origin.gate = threading.Event()
        waiting = clients(stack, rig, 5)
        wait_in_flight(rig, 5)
        rig.origin.gate.set()
        assert {len(client.response().body) for client in waiting} == {2700}
        assert rig.origin.count == 5


def test_nobody_waits_longer_than_the_config_says() -> None:
    with cached(wait="200ms") as rig, ExitStack() as stack:
        rig.origin.gate = threading.Event()
        waiting = clients(stack, rig, 5)
        wait_asked(rig, 5)
        rig.origin.gate.set()
        assert all(client.response().status == 200 for client in waiting)


def test_without_waiting_each_goes_at_once() -> None:
    with cached(wait="0s") as rig, ExitStack() as stack:
        rig.origin.gate = threading.Event()
        clients(stack, rig, 5)
        wait_asked(rig, 5)
        rig.origin.gate.set()


def test_another_one_goes_when_the_first_ones_client_has_gone() -> None:
    with cached(wait="30s") as rig, ExitStack() as stack:
        rig.origin.gate = threading.Event()
        first, *others = clients(stack, rig, 1)
        wait_asked(rig, 1)
        others = clients(stack, rig, 4)
        wait_in_flight(rig, 5)
        first.reset()
        wait_asked(rig, 2)
        rig.origin.gate.set()
        assert {client.response().body for client in others} == {b"2"}
        assert rig.origin.count == 2


def test_a_client_that_waits_may_go() -> None:
    with cached(wait="30s") as rig, ExitStack() as stack:
        rig.origin.gate = threading.Event()
        waiting = clients(stack, rig, 4)
        wait_in_flight(rig, 4)
        waiting[1].reset()
        waiting[2].reset()
        wait_in_flight(rig, 2)
        rig.origin.gate.set()
        bodies = [waiting[0].response().body, waiting[3].response().body]
        assert bodies in ([b"1", b"1"], [b"2", b"2"])


def test_an_error_of_the_origin_lets_the_others_go() -> None:
    with cached(wait="30s") as rig, ExitStack() as stack:
        rig.origin.status = "503 Busy"
        rig.origin.gate = threading.Event()
        waiting = clients(stack, rig, 4)
        wait_in_flight(rig, 4)
        rig.origin.gate.set()
        assert {client.response().status for client in waiting} == {503}
        assert rig.origin.count == 4


def test_those_who_wait_get_what_they_ask_for_of_it() -> None:
    with cached() as rig, ExitStack() as stack:
        rig.origin.fields = (FRESH, TAG)
        rig.origin.body = b"0123456789"
        rig.origin.gate = threading.Event()
        clients(stack, rig, 1)
        wait_asked(rig, 1)
        part, has, head = (
            clients(stack, rig, 1, ("Range", "bytes=0-3"))[0],
            clients(stack, rig, 1, ("If-None-Match", '"one"'))[0],
            stack.enter_context(rig.gateway.client()).send(request("HEAD", "/")),
        )
        wait_in_flight(rig, 4)
        rig.origin.gate.set()
        assert (part.response().body, has.response().status) == (b"0123", 304)
        assert head.response("HEAD").headers.get("Content-Length") == "10"
        assert rig.origin.count == 1


def test_who_is_known_waits_for_nobody() -> None:
    with cached() as rig, ExitStack() as stack:
        rig.origin.gate = threading.Event()
        clients(stack, rig, 3, ("Authorization", "Bearer x"))
        wait_asked(rig, 3)
        rig.origin.gate.set()


def test_many_at_once_ask_once_about_what_is_stale() -> None:
    with cached() as rig, ExitStack() as stack:
        rig.origin.fields = (("Cache-Control", "max-age=1"), TAG)
        rig.misses()
        eventually(lambda: rig.ask("/", ("Cache-Control", "only-if-cached")).status == 504, "it is stale")
        rig.origin.say = lambda request: answers.response(b"", "304 X", [FRESH, TAG], length=False)
        rig.origin.gate = threading.Event()
        waiting = clients(stack, rig, 10)
        wait_in_flight(rig, 10)
        rig.origin.gate.set()
        assert {client.response().body for client in waiting} == {b"1"}
        assert rig.origin.count == 2


# stale-while-revalidate (RFC 5861 section 3)


def test_what_is_stale_is_given_while_it_is_asked_for_anew() -> None:
    with cached() as rig:
        rig.origin.fields = (("Cache-Control", "max-age=5, stale-while-revalidate=60"), ("Age", "9"), TAG)
        rig.misses("/a?b=c", ("Accept", "x/y"))
        rig.origin.fields = (FRESH,)
        rig.origin.gate = threading.Event()
        for _ in range(5):
            response = rig.ask("/a?b=c", ("Accept", "x/y"))
            assert response.body == b"1"
            assert "hit; ttl=-" in status_of(response)
        wait_asked(rig, 2)
        rig.origin.gate.set()
        eventually(lambda: rig.ask("/a?b=c").body == b"2", "it is fresh again")
        assert rig.origin.count == 2
        asked = rig.last()
        assert asked.target == "/a?b=c"
        assert asked.headers.get("If-None-Match") == '"one"'
        assert asked.headers.get("Accept") == "x/y"
        assert asked.headers.get("Host") == "gateway.test"


def test_what_is_asked_for_anew_may_still_be_good() -> None:
    with cached(stale_while_revalidate="1m") as rig:
        rig.origin.fields = (("Cache-Control", "max-age=5"), ("Age", "9"), TAG)
        rig.misses()
        rig.origin.say = lambda request: answers.response(b"", "304 X", [FRESH, TAG], length=False)
        rig.ask()
        eventually(lambda: "ttl=-" not in status_of(rig.ask()), "it is fresh again")
        assert rig.hits().body == b"1"
        assert rig.origin.count == 2


def test_with_policies_behind_the_cache_a_clients_request_goes() -> None:
    with (
        cached({"use": "headers", "request": {"set": {"X-Set": "1"}}}, stale_while_revalidate="1m") as rig,
        ExitStack() as stack,
    ):
        rig.origin.fields = (("Cache-Control", "max-age=5"), ("Age", "9"))
        rig.misses()
        rig.origin.fields = (FRESH,)
        rig.origin.gate = threading.Event()
        (goes,) = clients(stack, rig, 1)
        wait_asked(rig, 2)
        assert rig.ask().body == b"1"
        rig.origin.gate.set()
        assert goes.response().body == b"2"
        assert rig.last().headers.get("X-Set") == "1"
        assert rig.hits().body == b"2"


def test_a_refresh_that_fails_leaves_what_there_is() -> None:
    with cached(stale_while_revalidate="1m") as rig:
        rig.origin.fields = (("Cache-Control", "max-age=5"), ("Age", "9"))
        rig.misses()
        rig.origin.status = "503 Busy"
        assert rig.ask().body == b"1"
        wait_asked(rig, 2)
        assert rig.ask().body == b"1"
        rig.upstream.close()
        assert rig.ask().body == b"1"


def test_past_that_time_it_is_not_given() -> None:
    with cached() as rig:
        rig.origin.fields = (("Cache-Control", "max-age=5, stale-while-revalidate=60"), ("Age", "65"))
        rig.misses()
        assert rig.misses().body == b"2"
        rig.origin.fields = (
            ("Cache-Control", "max-age=5, must-revalidate, stale-while-revalidate=60"),
            ("Age", "9"),
        )
        rig.misses("/must")
        rig.misses("/must")


def test_what_is_asked_for_anew_in_somebodys_name_is_kept_only_if_it_is_for_all() -> None:
    with cached(stale_while_revalidate="1m") as rig:
        rig.origin.fields = (("Cache-Control", "public, max-age=5"), ("Age", "9"))
        rig.misses()
        rig.origin.fields = (FRESH,)
        assert rig.ask("/", ("Authorization", "Bearer x")).body == b"1"
        wait_asked(rig, 2)
        eventually(lambda: rig.ask().body == b"3", "what the second one got was for it alone")
