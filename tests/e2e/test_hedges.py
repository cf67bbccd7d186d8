"""GETs that are asked of a second target because the first takes long: which, how many, what is left."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.harness import Client, Conversation, Gateway, Upstream, answers, eventually, proxy, request


class Origin:
    """Answers with its name, unless it is told to wait for its gate or to reset once that is open."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waits = False
        self.resets = False
        self.gate = threading.Event()

    def __call__(self, peer: Conversation) -> None:
        while not peer.reader.at_end():
            peer.request()
            if self.waits:
                threading.Thread(target=self.later, args=(peer,), daemon=True).start()
                peer.until_ended()
                return
            peer.send(answers.response(self.name.encode()))

    def later(self, peer: Conversation) -> None:
        """Beside the reading, so that the end of the connection is seen."""
        while not self.gate.wait(0.01):
            if peer.ended.is_set():
                return
        if self.resets:
            peer.reset()
        else:
            with contextlib.suppress(OSError):  # the loser's connection is closed
                peer.send(answers.response(self.name.encode()))


class Pair:
    def __init__(self, gateway: Gateway, origins: list[Origin], upstreams: list[Upstream]) -> None:
        self.gateway = gateway
        self.origins = origins
        self.upstreams = upstreams

    def warm(self, client: Client, count: int = 60) -> None:
        for _ in range(count):
            assert client.ask("GET", "/").status == 200

    def release(self) -> None:
        """All that wait answer."""
        for origin in self.origins:
            origin.gate.set()

    def asked(self) -> list[int]:
        return [len(upstream.requests) for upstream in self.upstreams]

    def hedges(self) -> int:
        text = self.gateway.operate().body.decode()
        name = 'tetrapylon_upstream_hedges_total{upstream="backend"} '
        return next(int(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


@contextmanager
def pair(budget: str = "100%", **retry: Any) -> Iterator[Pair]:
    hedge = {"percentile": "90%", "floor": "50ms", "requests": 32}
    settings = {"retry": {"hedge": hedge, "budget": budget, "backoff": "1ms", **retry}}
    with ExitStack() as stack:
        origins = [Origin("a"), Origin("b")]
        for origin in origins:
            stack.callback(origin.gate.set)
        upstreams = [stack.enter_context(Upstream(origin)) for origin in origins]
        config = proxy(*(each.url for each in upstreams), upstream=settings, admin={"listen": "127.0.0.1:0"})
        gateway = stack.enter_context(Gateway(config))
        yield Pair(gateway, origins, upstreams)


def test_a_slow_get_is_answered_by_another_target_and_the_loser_is_cancelled() -> None:
    with pair() as here, here.gateway.client() as client:
        here.warm(client)
        before = here.asked()
        here.origins[0].waits = True
        assert [client.ask("GET", "/").body for _ in range(2)] == [b"b", b"b"]
        assert [now - then for now, then in zip(here.asked(), before, strict=True)] == [1, 2]
        assert here.hedges() == 1
        loser = next(each for each in here.upstreams[0].conversations if each.requests)
        assert loser.ended.wait(5), "nobody waits for its answer any more"
        assert client.ask("GET", "/").status == 200


def test_the_first_target_may_still_win() -> None:
    with pair() as here, here.gateway.client() as client:
        here.warm(client)
        for origin in here.origins:
            origin.waits = True
        client.send(request("GET", "/"))
        eventually(lambda: here.hedges() == 1, "both are asked")
        eventually(lambda: all(here.upstreams[i].requests[-1] is not None for i in (0, 1)), "both have heard")
        here.origins[0].gate.set()
        assert client.response().body == b"a"


def test_a_target_that_fails_leaves_the_answer_to_the_other() -> None:
    with pair() as here, here.gateway.client() as client:
        here.warm(client)
        for origin in here.origins:
            origin.waits = True
        here.origins[0].resets = True
        client.send(request("GET", "/"))
        eventually(lambda: here.hedges() == 1, "both are asked")
        here.origins[0].gate.set()
        here.upstreams[0].conversation(0).ended.wait(5)
        here.origins[1].gate.set()
        assert client.response().body == b"b"


def test_a_client_that_goes_ends_both() -> None:
    with pair() as here:
        with here.gateway.client() as client:
            here.warm(client)
            for origin in here.origins:
                origin.waits = True
            client.send(request("GET", "/"))
            eventually(lambda: here.hedges() == 1, "both are asked")
            client.reset()
        eventually(lambda: all(upstream.open == 0 for upstream in here.upstreams), "both connections end")


def test_what_may_change_something_is_asked_once() -> None:
    with pair() as here, here.gateway.client() as client:
        here.warm(client)
        before = sum(here.asked())
        for origin in here.origins:
            origin.waits = True
        timer = threading.Timer(0.3, here.release)
        timer.start()
        assert client.ask("PUT", "/", body=b"x").status == 200
        assert sum(here.asked()) == before + 1
        assert here.hedges() == 0


def test_hedges_are_retries_by_the_budget() -> None:
    """Where everything is slow, few requests are doubled."""
    with pair(budget="10%") as here, here.gateway.client() as client:
        here.warm(client, 40)
        before = sum(here.asked())
        for origin in here.origins:
            origin.waits = True
        clients = [here.gateway.client() for _ in range(20)]
        for each in clients:
            each.send(request("GET", "/"))
        eventually(lambda: sum(here.asked()) >= before + 20 + 6, "some are doubled")
        for origin in here.origins:
            origin.gate.set()
        for each in clients:
            assert each.response().status == 200
            each.close()
        # A tenth of the 60 there were.
        assert here.hedges() == 6
        assert sum(here.asked()) == before + 26


def test_nothing_is_doubled_before_enough_answers_are_known() -> None:
    with pair() as here, here.gateway.client() as client:
        here.warm(client, 10)
        here.origins[0].waits = here.origins[1].waits = True
        timer = threading.Timer(0.3, here.release)
        timer.start()
        assert client.ask("GET", "/").status == 200
        assert here.hedges() == 0
