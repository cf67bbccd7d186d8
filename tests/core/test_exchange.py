"""Exchanges know sources and sinks, not connections: here both live in memory.

Whatever becomes of one, it is finished once: told to its source once, counted once, and each policy that it
entered hears of its end once.
"""

from collections.abc import Callable

import pytest

from tests.core.conftest import Bench
from tests.harness import Upstream as RealUpstream
from tests.harness import answers
from tetrapylon._core.exchange import live_exchanges
from tetrapylon._core.http.respond import Answer
from tetrapylon._core.http.wire import Via
from tetrapylon._core.memory import MemoryDestination, MemoryExchange, MemoryPolicy, resume
from tetrapylon._core.net.address import Address
from tetrapylon._core.stages import Pipeline
from tetrapylon._core.upstreams.target import Target
from tetrapylon._core.upstreams.upstream import Upstream

CHUNKED = [(b"Transfer-Encoding", b"chunked")]
OK = (("head", 200, [(b"A", b"b"), (b"A", b"c")]), ("body", b"one"), ("body", b"two"), ("end",))


def get(pipeline: Pipeline, target: bytes = b"/") -> MemoryExchange:
    return MemoryExchange(pipeline, b"GET", target)


def post(pipeline: Pipeline, *pieces: bytes, complete: bool = True) -> MemoryExchange:
    return MemoryExchange(
        pipeline, b"POST", b"/", CHUNKED, body=pieces, trailers=[(b"T", b"v")], complete=complete
    )


class TestMessages:
    def test_an_answer_comes_as_it_was_given(self, bench: Bench) -> None:
        x = get(bench.pipeline(MemoryDestination(("interim", 103), *OK[:-1], ("end", [(b"T", b"v")]))))
        assert (x.interims, x.status) == ([103], 200)
        assert x.headers == [(b"A", b"b"), (b"A", b"c")]
        assert x.pieces_out == [b"one", b"two"]
        assert x.trailers == [(b"T", b"v")]
        assert (x.heads, x.ends, x.aborts, x.finishes, x.fault) == (1, 1, 0, 1, None)

    def test_a_request_arrives_as_it_was_said(self, bench: Bench) -> None:
        destination = MemoryDestination(("wait",), *OK)
        x = post(bench.pipeline(destination), b"a", b"b")
        assert (destination.request.pieces, destination.request.ended) == ([b"a", b"b"], True)
        assert destination.request.trailers == [(b"T", b"v")]
        destination.advance()
        assert (x.status, x.finishes) == (200, 1)

    def test_the_gateways_own_answers_need_no_connection_either(self, bench: Bench) -> None:
        x = get(bench.pipeline(Answer(200, headers=[(b"A", b"b")], body=b"pong")))
        assert (x.status, x.received) == (200, b"pong")
        assert (b"Content-Length", b"4") in x.headers

    def test_a_body_that_nobody_takes_is_dropped(self, bench: Bench) -> None:
        destination = MemoryDestination(("wait",), *OK, takes=False)
        x = post(bench.pipeline(destination), b"a", b"b")
        destination.advance()
        assert (x.status, x.finishes, destination.request.pieces) == (200, 1, [])

    def test_what_is_no_head_is_no_exchange(self, bench: Bench) -> None:
        with pytest.raises(ValueError, match="not the head of a request"):
            MemoryExchange(bench.pipeline(MemoryDestination(*OK)), b"G T", b"/")

    def test_a_real_upstream_serves_one(self, bench: Bench) -> None:
        with RealUpstream(answers.ok) as real:
            host, port = real.address.split(":")
            target = Target(real.address, host=b"h", addresses=[Address.ip(host, int(port))])
            upstream = Upstream(bench.reactor, "real", [target], Via("test"), slab=bench.slab)
            x = post(bench.pipeline(upstream), b"hello ", b"upstream")
            assert x.pauses == 1  # until there is a connection
            bench.run_until(lambda: x.over)
            assert (x.status, x.finishes) == (200, 1)
            assert real.wait_requests(1)[0].body == b"hello upstream"
            assert bench.reactor.handles == 1
            upstream.close()
            assert bench.reactor.handles == 0


class TestPace:
    def test_a_paused_source_is_silent_until_resumed(self, bench: Bench) -> None:
        destination = MemoryDestination(("pause",), ("wait",), ("resume",), ("wait",), *OK)
        x = post(bench.pipeline(destination), b"a", b"b")
        x.say(b"c")
        assert destination.request.pieces == []
        destination.advance()
        assert destination.request.pieces == [b"a", b"b", b"c"]
        assert (x.pauses, x.resumes) == (1, 1)
        destination.advance()
        assert x.finishes == 1

    def test_a_sink_slows_its_destination(self, bench: Bench) -> None:
        destination = MemoryDestination(("head", 200), ("wait",), ("end",))
        x = get(bench.pipeline(destination))
        x.hold()
        x.go_on()
        assert (destination.request.pauses, destination.request.resumes) == (1, 1)
        destination.advance()
        assert x.finishes == 1

    def test_pieces_pass_as_they_come(self, bench: Bench) -> None:
        destination = MemoryDestination(("wait",), *OK)
        x = post(bench.pipeline(destination), complete=False)
        for count in range(1, 4):
            x.say(b"piece")
            assert len(destination.request.pieces) == count
        assert [destination.request.ended] == [False]
        x.complete_body()
        assert destination.request.ended
        destination.advance()


def answered(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    return get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))


def failed_before_the_head(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    return get(bench.pipeline(MemoryDestination(("fail",)), policies=(policy,)))


def failed_within_the_body(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    return get(bench.pipeline(MemoryDestination(*OK[:2], ("fail",)), policies=(policy,)))


def cancelled_before_the_head(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    x = get(bench.pipeline(MemoryDestination(("wait",)), policies=(policy,)))
    x.cancel()
    return x


def cancelled_within_the_request(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    x = post(bench.pipeline(MemoryDestination(("wait",)), policies=(policy,)), b"a", complete=False)
    x.cancel()
    return x


def cancelled_within_the_body(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    x = get(bench.pipeline(MemoryDestination(*OK[:2], ("wait",)), policies=(policy,)))
    x.cancel()
    return x


def too_late_before_the_head(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    x = get(bench.pipeline(MemoryDestination(("wait",)), policies=(policy,), total=0.02))
    bench.run_until(lambda: x.over)
    return x


def too_late_within_the_body(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    x = get(bench.pipeline(MemoryDestination(*OK[:2], ("wait",)), policies=(policy,), total=0.02))
    bench.run_until(lambda: x.over)
    return x


def too_late_while_a_policy_waits(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    waits = MemoryPolicy("wait")
    x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy, waits), total=0.02))
    bench.run_until(lambda: x.over)
    assert waits.ends == 1
    return x


def cancelled_while_a_policy_waits(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    waits = MemoryPolicy("wait")
    x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy, waits)))
    x.cancel()
    assert waits.ends == 1
    return x


def answered_by_a_policy(bench: Bench, policy: MemoryPolicy) -> MemoryExchange:
    answers_ = MemoryPolicy("answer", answer=Answer(403))
    never = MemoryPolicy()
    x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy, answers_, never)))
    assert (answers_.responses, answers_.ends) == (1, 1)
    assert (never.requests, never.responses, never.ends) == (0, 0, 0)
    return x


Exit = Callable[[Bench, MemoryPolicy], MemoryExchange]
# What the client is told (0: nothing), the fault, the outcome counted, if the answer is whole, cut or none.
EXITS: list[tuple[Exit, int, str | None, str, str]] = [
    (answered, 200, None, "2xx", "whole"),
    (failed_before_the_head, 502, "upstream_closed", "5xx", "whole"),
    (failed_within_the_body, 200, "response_cut", "aborted", "cut"),
    (cancelled_before_the_head, 0, "client_gone", "aborted", "none"),
    (cancelled_within_the_request, 0, "client_gone", "aborted", "none"),
    (cancelled_within_the_body, 200, "client_gone", "aborted", "none"),
    (too_late_before_the_head, 504, "total_timeout", "5xx", "whole"),
    (too_late_within_the_body, 200, "total_timeout", "aborted", "cut"),
    (too_late_while_a_policy_waits, 504, "total_timeout", "5xx", "whole"),
    (cancelled_while_a_policy_waits, 0, "client_gone", "aborted", "none"),
    (answered_by_a_policy, 403, None, "4xx", "whole"),
]


@pytest.mark.parametrize(
    ("leave", "status", "fault", "outcome", "answer"), EXITS, ids=[each[0].__name__ for each in EXITS]
)
def test_every_exit_passes_the_end_once(
    bench: Bench, leave: Exit, status: int, fault: str | None, outcome: str, answer: str
) -> None:
    policy = MemoryPolicy()
    x = leave(bench, policy)
    assert (x.over, x.finishes) == (True, 1)
    assert (x.status, x.fault) == (status, fault)
    assert (x.ends, x.aborts) == {"whole": (1, 0), "cut": (0, 1), "none": (0, 0)}[answer]
    assert bench.outcomes() == {outcome: 1}
    assert (policy.requests, policy.responses, policy.ends) == (1, int(status > 0), 1)
    x.cancel()  # comes too late
    assert (x.finishes, policy.ends, bench.outcomes()) == (1, 1, {outcome: 1})


class TestReuse:
    def test_an_exchange_that_is_over_serves_the_next_in_another_life(self, bench: Bench) -> None:
        pipeline = bench.pipeline(MemoryDestination(*OK))
        first, second = get(pipeline), get(pipeline)
        assert second.slot == first.slot
        assert second.generation == first.generation + 1

    def test_those_in_flight_are_counted_and_share_nothing(self, bench: Bench) -> None:
        destinations = [MemoryDestination(("wait",), *OK) for _ in range(300)]
        in_flight = [get(bench.pipeline(each)) for each in destinations]
        assert live_exchanges() == 300
        assert len({x.slot for x in in_flight}) == 300
        for each in destinations:
            each.advance()
        assert all(x.finishes == 1 for x in in_flight)
        assert live_exchanges() == 0
        more = [get(bench.pipeline(MemoryDestination(*OK))) for _ in range(3)]
        assert {x.slot for x in more} <= {x.slot for x in in_flight}

    def test_nothing_of_the_last_life_is_seen(self, bench: Bench) -> None:
        get(bench.pipeline(MemoryDestination(("head", 200, [(b"Old", b"1")] * 40), ("fail",))))
        x = get(bench.pipeline(MemoryDestination(("head", 201), ("end",))))
        assert (x.status, x.headers, x.received, x.trailers, x.fault) == (201, [], b"", [], None)


class TestTickets:
    def test_resuming_goes_on_to_the_destination(self, bench: Bench) -> None:
        policy = MemoryPolicy("wait")
        pipeline = bench.pipeline(MemoryDestination(*OK), policies=(policy,))
        x = post(pipeline, b"a")
        assert (x.over, x.pauses) == (False, 1)
        resume(pipeline, policy.tickets[0])
        assert (x.status, x.finishes) == (200, 1)
        assert bench.slab.counters()["late_resumes"] == 0

    def test_resuming_with_an_answer_leaves_the_destination_out(self, bench: Bench) -> None:
        policy, destination = MemoryPolicy("wait"), MemoryDestination(*OK)
        pipeline = bench.pipeline(destination, policies=(policy,))
        x = get(pipeline)
        resume(pipeline, policy.tickets[0], Answer(401))
        assert (x.status, x.finishes, destination.starts) == (401, 1, 0)

    def test_two_that_wait_are_not_mistaken_for_each_other(self, bench: Bench) -> None:
        policy = MemoryPolicy("wait", "wait")
        pipeline = bench.pipeline(MemoryDestination(*OK), policies=(policy,))
        first, second = get(pipeline), get(pipeline)
        resume(pipeline, policy.tickets[1])
        assert (first.over, second.over) == (False, True)
        resume(pipeline, policy.tickets[0])
        assert first.over

    def test_a_second_use_is_counted_and_does_nothing(self, bench: Bench) -> None:
        policy, destination = MemoryPolicy("wait"), MemoryDestination(("wait",), *OK)
        pipeline = bench.pipeline(destination, policies=(policy,))
        x = get(pipeline)
        for _ in range(3):
            resume(pipeline, policy.tickets[0])
        assert (destination.starts, x.over) == (1, False)
        assert bench.slab.counters()["late_resumes"] == 2
        destination.advance()

    def test_a_late_use_does_not_reach_the_next_exchange_of_that_object(self, bench: Bench) -> None:
        policy, destination = MemoryPolicy("wait", "wait"), MemoryDestination(*OK)
        pipeline = bench.pipeline(destination, policies=(policy,))
        gone = get(pipeline)
        gone.cancel()
        other = get(pipeline)
        assert other.slot == gone.slot
        resume(pipeline, policy.tickets[0], Answer(500))
        assert (other.over, other.status, destination.starts) == (False, 0, 0)
        assert bench.slab.counters()["late_resumes"] == 1
        resume(pipeline, policy.tickets[1])
        assert (other.status, other.finishes) == (200, 1)

    def test_a_use_after_the_end_is_counted(self, bench: Bench) -> None:
        policy = MemoryPolicy("wait")
        pipeline = bench.pipeline(MemoryDestination(*OK), policies=(policy,), total=0.02)
        x = get(pipeline)
        bench.run_until(lambda: x.over)
        resume(pipeline, policy.tickets[0])
        assert bench.slab.counters()["late_resumes"] == 1
        assert x.finishes == 1
