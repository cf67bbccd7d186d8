"""A response on its way out, a request on its way in can wait: for a policy's verdict, or to be whole."""

import gzip

import pytest

from tests.core.conftest import Bench
from tests.harness import Upstream as RealUpstream
from tests.harness import answers
from tetrapylon._core.exchange import live_exchanges
from tetrapylon._core.http.respond import Answer, Refusal
from tetrapylon._core.http.wire import Via
from tetrapylon._core.memory import MemoryDestination, MemoryExchange, MemoryFilter, MemoryPolicy, resume
from tetrapylon._core.net.address import Address
from tetrapylon._core.policies.decompress import Decompress
from tetrapylon._core.stages import Pipeline
from tetrapylon._core.upstreams.target import Target
from tetrapylon._core.upstreams.upstream import Upstream

OK = (("head", 200, [(b"A", b"b")]), ("body", b"one"), ("body", b"two"), ("end", [(b"T", b"v")]))
CHUNKED = [(b"Transfer-Encoding", b"chunked")]


def get(pipeline: Pipeline) -> MemoryExchange:
    return MemoryExchange(pipeline, b"GET", b"/")


def post(pipeline: Pipeline, *pieces: bytes, complete: bool = True) -> MemoryExchange:
    return MemoryExchange(pipeline, b"POST", b"/", CHUNKED, body=pieces, complete=complete)


class TestAResponseThatWaits:
    def test_nothing_goes_down_before_the_verdict_and_then_all_of_it(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["wait"])
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))
        assert (x.heads, x.received, x.over) == (0, b"", False)
        policy.tickets[0].resume()
        assert (x.status, x.received, x.trailers) == (200, b"onetwo", [(b"T", b"v")])
        assert (x.heads, x.ends, x.finishes, policy.responses) == (1, 1, 1, 1)

    def test_its_source_is_paused_meanwhile_and_resumed_after(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["wait"])
        destination = MemoryDestination(*OK[:2], ("wait",), *OK[2:])
        x = get(bench.pipeline(destination, policies=(policy,)))
        assert (destination.request.pauses, destination.request.resumes) == (1, 0)
        policy.tickets[0].resume()
        assert (destination.request.resumes, x.received) == (1, b"one")
        destination.advance()
        assert (x.received, x.finishes) == (b"onetwo", 1)

    def test_outer_policies_see_it_after_the_wait(self, bench: Bench) -> None:
        outer, inner = MemoryPolicy(on_response=["wait"]), MemoryPolicy(on_response=["wait"])
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(outer, inner)))
        assert (inner.responses, outer.responses) == (1, 0)
        inner.tickets[0].resume()
        assert (outer.responses, x.heads) == (1, 0)
        outer.tickets[0].resume()
        assert (x.status, x.received, x.finishes) == (200, b"onetwo", 1)

    def test_an_answer_in_its_place_gives_the_destination_up(self, bench: Bench) -> None:
        outer, policy = MemoryPolicy(), MemoryPolicy(on_response=["wait"])
        destination = MemoryDestination(*OK[:2], ("wait",), *OK[2:])
        pipeline = bench.pipeline(destination, policies=(outer, policy))
        x = get(pipeline)
        resume(pipeline, policy.tickets[0], Answer(502, body=b"no"))
        assert (x.status, x.received, x.ends, x.finishes) == (502, b"no", 1, 1)
        assert (destination.cancels, policy.responses, outer.responses) == (1, 1, 1)

    def test_a_verdict_at_once_may_be_an_answer_too(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["answer"], answer=Answer(418, body=b"pot"))
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))
        assert (x.status, x.received, x.finishes, policy.responses) == (418, b"pot", 1, 1)

    def test_the_gateways_own_answers_wait_as_well(self, bench: Bench) -> None:
        policy = MemoryPolicy("answer", answer=Answer(403, body=b"no"), on_response=["wait"])
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))
        assert x.heads == 0
        policy.tickets[0].resume()
        assert (x.status, x.received, x.finishes) == (403, b"no", 1)

    def test_a_failure_before_the_head_went_down_is_still_told_as_one(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["wait"])
        destination = MemoryDestination(*OK[:2], ("wait",), ("fail",))
        x = get(bench.pipeline(destination, policies=(policy,)))
        destination.advance()
        assert (x.status, x.fault, x.ends, x.aborts, x.finishes) == (502, "response_cut", 1, 0, 1)
        policy.tickets[0].resume()
        assert bench.slab.counters()["late_resumes"] == 1

    def test_a_client_that_goes_meanwhile_is_the_end(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["wait"])
        x = get(bench.pipeline(MemoryDestination(*OK[:2], ("wait",)), policies=(policy,)))
        x.cancel()
        policy.tickets[0].resume()
        assert (x.finishes, x.fault, policy.ends, live_exchanges()) == (1, "client_gone", 1, 0)


class TestAWholeResponse:
    def test_it_is_shown_to_the_policy_and_goes_down_as_it_came(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["collect"])
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))
        assert policy.bodies == [b"onetwo"]
        assert (x.received, x.trailers, x.headers) == (b"onetwo", [(b"T", b"v")], [(b"A", b"b")])

    def test_another_body_gets_its_own_length(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["collect"], whole=b"other")
        script = (("head", 200, [(b"Content-Length", b"6"), (b"A", b"b")]), *OK[1:])
        x = get(bench.pipeline(MemoryDestination(*script), policies=(policy,)))
        assert (x.received, x.finishes) == (b"other", 1)
        assert (b"Content-Length", b"5") in x.headers

    def test_each_policy_sees_what_the_one_before_made_of_it(self, bench: Bench) -> None:
        outer = MemoryPolicy(on_response=["collect"], whole=b"third")
        inner = MemoryPolicy(on_response=["collect"], whole=b"second")
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(outer, inner)))
        assert (inner.bodies, outer.bodies, x.received) == ([b"onetwo"], [b"second"], b"third")

    def test_it_may_wait_then_or_be_answered_otherwise(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["collect", "wait"])
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))
        assert (policy.bodies, x.heads) == ([b"onetwo"], 0)
        policy.tickets[0].resume()
        assert (x.received, x.finishes) == (b"onetwo", 1)
        answers_ = MemoryPolicy(on_response=["collect", "answer"], answer=Answer(500, body=b"bad"))
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(answers_,)))
        assert (x.status, x.received, x.finishes) == (500, b"bad", 1)

    def test_where_there_is_none_the_policy_hears_so_at_once(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["collect"])
        x = get(bench.pipeline(MemoryDestination(("head", 204), ("end",)), policies=(policy,)))
        assert (policy.bodies, x.status, x.finishes) == ([b""], 204, 1)

    def test_one_that_is_too_large_is_a_bad_gateway(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["collect"], limit=5)
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))
        assert (x.status, x.fault, x.ends, x.finishes) == (502, "response_large", 1, 1)
        assert policy.bodies == []

    def test_a_cut_one_is_never_shown(self, bench: Bench) -> None:
        policy = MemoryPolicy(on_response=["collect"])
        x = get(bench.pipeline(MemoryDestination(*OK[:2], ("fail",)), policies=(policy,)))
        assert (policy.bodies, x.status, x.finishes) == ([], 502, 1)


class TestAWholeRequest:
    def test_the_destination_is_asked_when_it_is_there(self, bench: Bench) -> None:
        policy, destination = MemoryPolicy("collect"), MemoryDestination(("wait",), *OK)
        x = post(bench.pipeline(destination, policies=(policy,)), b"a", b"b", complete=False)
        assert (policy.bodies, destination.starts) == ([], 0)
        x.complete_body()
        assert (policy.bodies, destination.starts) == ([b"ab"], 1)
        assert (destination.request.pieces, destination.request.ended) == ([b"ab"], True)
        destination.advance()
        assert (x.status, x.finishes) == (200, 1)

    def test_several_policies_share_one_collection(self, bench: Bench) -> None:
        first, second = MemoryPolicy("collect", whole=b"new"), MemoryPolicy("collect")
        x = post(bench.pipeline(MemoryDestination(*OK), policies=(first, second)), b"old")
        assert (first.bodies, second.bodies, x.finishes) == ([b"old"], [b"new"], 1)

    def test_a_request_without_a_body_is_asked_about_at_once(self, bench: Bench) -> None:
        policy = MemoryPolicy("collect")
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))
        assert (policy.bodies, x.finishes) == ([None], 1)

    def test_it_may_be_answered_then_or_wait(self, bench: Bench) -> None:
        policy, destination = MemoryPolicy("collect", "answer", answer=Answer(422)), MemoryDestination(*OK)
        x = post(bench.pipeline(destination, policies=(policy,)), b"a")
        assert (x.status, x.finishes, destination.starts) == (422, 1, 0)
        waits = MemoryPolicy("collect", "wait")
        x = post(bench.pipeline(MemoryDestination(*OK), policies=(waits,)), b"a")
        assert not x.over
        waits.tickets[0].resume()
        assert (x.status, x.finishes) == (200, 1)

    def test_after_a_wait_the_body_is_still_taken(self, bench: Bench) -> None:
        waits, collects = MemoryPolicy("wait"), MemoryPolicy("collect")
        x = post(bench.pipeline(MemoryDestination(*OK), policies=(waits, collects)), b"a", b"b")
        assert collects.bodies == []
        waits.tickets[0].resume()
        assert (collects.bodies, x.finishes) == ([b"ab"], 1)

    def test_more_than_the_policy_takes_is_413(self, bench: Bench) -> None:
        policy, destination = MemoryPolicy("collect", limit=3), MemoryDestination(*OK)
        x = post(bench.pipeline(destination, policies=(policy,)), b"ab", b"cd")
        assert (x.status, x.fault, x.finishes, destination.starts) == (413, "body_too_large", 1, 0)

    def test_leave_to_send_it_is_given_by_the_gateway(self, bench: Bench) -> None:
        policy = MemoryPolicy("collect")
        pipeline = bench.pipeline(MemoryDestination(*OK), policies=(policy,))
        headers = [*CHUNKED, (b"Expect", b"100-continue")]
        x = MemoryExchange(pipeline, b"POST", b"/", headers, body=[b"a"])
        assert (x.interims, policy.bodies, x.status, x.finishes) == ([100], [b"a"], 200, 1)

    def test_a_real_upstream_is_sent_it_with_its_new_length(self, bench: Bench) -> None:
        with RealUpstream(answers.ok) as real:
            host, port = real.address.split(":")
            target = Target(real.address, host=b"h", addresses=[Address.ip(host, int(port))])
            upstream = Upstream(bench.reactor, "real", [target], Via("test"), slab=bench.slab)
            policy = MemoryPolicy("collect", whole=b"rewritten")
            x = post(bench.pipeline(upstream, policies=(policy,)), b"a", b"b")
            bench.run_until(lambda: x.over)
            seen = real.wait_requests(1)[0]
            assert seen.body == b"rewritten"
            assert ("Content-Length", "9") in seen.headers
            upstream.close()


class TestFilters:
    def test_they_stand_in_the_order_of_the_way_out(self, bench: Bench) -> None:
        outer = MemoryPolicy(filter=MemoryFilter(b"<", b">"))
        inner = MemoryPolicy(filter=MemoryFilter(b"(", b")"))
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(outer, inner)))
        assert x.received == b"<(<one<(<two<)>"
        assert x.finishes == 1

    def test_one_that_will_see_no_end_is_told(self, bench: Bench) -> None:
        filter_ = MemoryFilter(b"<")
        x = get(
            bench.pipeline(MemoryDestination(*OK[:2], ("fail",)), policies=(MemoryPolicy(filter=filter_),))
        )
        assert (x.aborts, filter_.aborts, filter_.ends) == (1, 1, 0)

    def test_a_failure_behind_a_wait_is_not_filtered(self, bench: Bench) -> None:
        filter_ = MemoryFilter(b"<", b">")
        policies = (MemoryPolicy(on_response=["wait"]), MemoryPolicy(filter=filter_))
        destination = MemoryDestination(*OK[:2], ("wait",), ("fail",))
        x = get(bench.pipeline(destination, policies=policies))
        destination.advance()
        assert (x.status, filter_.aborts) == (502, 1)
        assert x.received.startswith(b"{")


GZIPPED = (b"Content-Encoding", b"gzip")


class TestAResponseThatWasGivenUp:
    """What is left of it goes nowhere, whoever waits meanwhile with the one in its place."""

    def test_an_answer_in_place_of_an_answer_is_the_only_one(self, bench: Bench) -> None:
        outer = MemoryPolicy(on_response=["wait"])
        inner = MemoryPolicy("answer", answer=Answer(403, body=b"no"), on_response=["answer"])
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(outer, inner)))
        assert (x.heads, x.over) == (0, False)
        outer.tickets[0].resume()
        assert (x.status, x.received, x.heads, x.ends, x.finishes) == (403, b"no", 1, 1, 1)

    def test_a_refusal_in_place_of_a_refusal_is_the_only_one(self, bench: Bench) -> None:
        outer = MemoryPolicy(on_response=["wait"])
        inner = MemoryPolicy("answer", answer=Refusal(403, "no", "No", "No."), on_response=["answer"])
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(outer, inner)))
        outer.tickets[0].resume()
        assert (b"Content-Length", str(len(x.received)).encode()) in x.headers
        assert (x.status, x.ends, x.finishes) == (403, 1, 1)

    def test_a_body_that_is_not_what_it_should_be_at_its_end(self, bench: Bench) -> None:
        outer, collects = MemoryPolicy(on_response=["wait"]), MemoryPolicy(on_response=["collect"])
        script = (("head", 200, [GZIPPED]), ("body", gzip.compress(b"text")[:-4]), ("end",))
        policies = (outer, collects, Decompress())
        x = get(bench.pipeline(MemoryDestination(*script), policies=policies))
        assert (outer.bodies, collects.bodies, x.heads) == ([], [], 0)
        outer.tickets[0].resume()
        assert (x.status, x.fault, x.heads, x.ends) == (502, "response_malformed", 1, 1)
        assert (b"Content-Length", str(len(x.received)).encode()) in x.headers

    def test_a_body_that_is_too_large_half_way(self, bench: Bench) -> None:
        outer, collects = MemoryPolicy(on_response=["wait"]), MemoryPolicy(on_response=["collect"], limit=9)
        script = (("head", 200, [GZIPPED]), ("body", gzip.compress(bytes(1 << 20))), ("end",))
        policies = (outer, collects, Decompress())
        x = get(bench.pipeline(MemoryDestination(*script), policies=policies))
        outer.tickets[0].resume()
        assert (x.status, x.fault, x.heads, x.ends) == (502, "response_large", 1, 1)
        assert (b"Content-Length", str(len(x.received)).encode()) in x.headers


class TestRefusals:
    @pytest.mark.parametrize("side", ["request", "response"])
    def test_a_refusal_is_a_problem_with_its_reason(self, bench: Bench, side: str) -> None:
        no = Refusal(429, "rate_limit", "Too Many Requests", "Slow down.", headers=[(b"Retry-After", b"1")])
        policy = (
            MemoryPolicy("answer", answer=no)
            if side == "request"
            else MemoryPolicy(answer=no, on_response=["answer"])
        )
        x = get(bench.pipeline(MemoryDestination(*OK), policies=(policy,)))
        assert (x.status, x.finishes) == (429, 1)
        assert (b"Content-Type", b"application/problem+json") in x.headers
        assert (b"Retry-After", b"1") in x.headers
        assert any(name == b"Proxy-Status" and b"http_request_denied" in value for name, value in x.headers)
        assert b'"reason":"rate_limit"' in x.received
        assert bench.slab.counters()["rejects"][18] == 1
