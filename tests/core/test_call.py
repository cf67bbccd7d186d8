"""Requests of the gateway's own: one call, its whole answer, one end."""

import asyncio

import pytest

from tests.core.conftest import Bench
from tests.harness import Upstream as RealUpstream
from tests.harness import answers
from tetrapylon._core.exchange import Destination, live_exchanges
from tetrapylon._core.http.wire import Via
from tetrapylon._core.memory import MemoryDestination
from tetrapylon._core.net.address import Address
from tetrapylon._core.stages import make_plan
from tetrapylon._core.upstreams.call import Call, CallStages
from tetrapylon._core.upstreams.target import Target
from tetrapylon._core.upstreams.upstream import Upstream

HOST = [(b"Host", b"h")]
OK = (("head", 200, [(b"A", b"b")]), ("body", b"one"), ("body", b"two"), ("end",))


def call(
    bench: Bench,
    destination: Destination,
    body: bytes | None = None,
    *,
    total: float | None = None,
    limit: int = 100,
) -> tuple[Call, list[Call]]:
    done: list[Call] = []
    plan = make_plan(bench.reactor, "p", destination, bench.slab, -1, response=5, idle=5, total=total)
    stages = CallStages(bench.reactor, Via("test"))
    method = b"GET" if body is None else b"POST"
    return Call(stages, plan, method, b"/x?y", HOST, body, limit=limit, on_done=done.append), done


def test_a_whole_answer_comes_back_once(bench: Bench) -> None:
    made, done = call(bench, MemoryDestination(("interim", 103), *OK))
    made.start()
    assert done == [made]
    assert (made.status, made.headers, made.payload, made.fault) == (200, [(b"A", b"b")], b"onetwo", None)


def test_it_begins_once(bench: Bench) -> None:
    made, _ = call(bench, MemoryDestination(("wait",)))
    made.start()
    with pytest.raises(RuntimeError):
        made.start()
    made.cancel()


def test_a_body_is_sent_whole(bench: Bench) -> None:
    destination = MemoryDestination(*OK)
    made, _ = call(bench, destination, b"said")
    made.start()
    assert (destination.request.pieces, destination.request.ended, made.status) == ([b"said"], True, 200)


@pytest.mark.parametrize(
    ("script", "fault"),
    [((("fail",),), "upstream_closed"), ((*OK[:2], ("fail",)), "response_cut")],
    ids=["before the head", "within the body"],
)
def test_an_answer_that_is_not_whole_is_none(
    bench: Bench, script: tuple[tuple[str, ...], ...], fault: str
) -> None:
    made, done = call(bench, MemoryDestination(*script))
    made.start()
    assert (len(done), made.status, made.fault) == (1, 0, fault)


def test_an_answer_that_is_too_large_is_given_up(bench: Bench) -> None:
    destination = MemoryDestination(*OK)
    made, done = call(bench, destination, limit=5)
    made.start()
    assert (len(done), made.status, made.fault, destination.cancels) == (1, 0, "response_large", 1)


def test_it_ends_with_its_plan_s_time(bench: Bench) -> None:
    made, done = call(bench, MemoryDestination(("wait",)), total=0.02)
    made.start()
    bench.run_until(lambda: bool(done))
    assert (made.status, made.fault) == (0, "total_timeout")


def test_one_that_is_cancelled_ends_at_once_and_only_once(bench: Bench) -> None:
    destination = MemoryDestination(("wait",))
    made, done = call(bench, destination)
    made.cancel()
    assert done == []
    made.start()
    made.cancel()
    made.cancel()
    assert (len(done), made.status, destination.cancels, live_exchanges()) == (1, 0, 1, 0)


def test_what_is_no_request_is_refused_before_it_begins(bench: Bench) -> None:
    plan = make_plan(bench.reactor, "p", MemoryDestination(*OK), bench.slab, -1)
    made = Call(CallStages(bench.reactor, Via("test")), plan, b"G T", b"/", HOST)
    with pytest.raises(ValueError, match="not the head of a request"):
        made.start()


def test_it_can_be_awaited_and_cancelled_by_its_waiter(bench: Bench) -> None:
    destination = MemoryDestination(("wait",), *OK)
    made, _ = call(bench, destination)

    async def wait_for_it() -> Call:
        asyncio.get_running_loop().call_soon(destination.advance)
        return await made.fetch()

    assert bench.loop.run_until_complete(wait_for_it()).payload == b"onetwo"

    late, _ = call(bench, MemoryDestination(("wait",)))
    with pytest.raises(TimeoutError):
        bench.loop.run_until_complete(asyncio.wait_for(late.fetch(), 0.01))
    assert (late.fault, live_exchanges()) == ("client_gone", 0)


def test_a_real_upstream_answers_many_at_once(bench: Bench) -> None:
    with RealUpstream(answers.ok) as real:
        host, port = real.address.split(":")
        target = Target(real.address, host=b"h", addresses=[Address.ip(host, int(port))])
        upstream = Upstream(bench.reactor, "real", [target], Via("test"), slab=bench.slab)
        calls = [call(bench, upstream, b"body %d" % i) for i in range(20)]
        for made, _ in calls:
            made.start()
        bench.run_until(lambda: all(done for _, done in calls))
        assert {made.status for made, _ in calls} == {200}
        assert sorted(each.body for each in real.wait_requests(20)) == sorted(
            b"body %d" % i for i in range(20)
        )
        upstream.close()
