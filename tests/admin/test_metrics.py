"""/metrics: what prometheus_client's parser reads back is what was counted."""

from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tetrapylon._core.counters import DURATION_BOUNDS, REJECT_NAMES, SHARE_BOUNDS, Reject, Slabs, State
from tetrapylon.admin.metrics import PIECE, Exposition

MS = 1_000_000


def families(slabs: Slabs, labels: list[dict[str, str]]) -> dict[str, Metric]:
    text = b"".join(Exposition(slabs, lambda: labels, lambda: slabs.workers, "1.2.3").stream()).decode()
    found = list(text_string_to_metric_families(text))
    assert len({family.name for family in found}) == len(found), "a family stands twice"
    samples = [
        (sample.name, tuple(sorted(sample.labels.items()))) for family in found for sample in family.samples
    ]
    assert len(set(samples)) == len(samples), "a sample stands twice"
    return {family.name: family for family in found}


def values(family: Metric, suffix: str = "", **labels: str) -> list[float]:
    return [
        sample.value
        for sample in family.samples
        if sample.name.endswith(suffix) and labels.items() <= sample.labels.items()
    ]


def exchange(slabs: Slabs, worker: int = 0, route: int = 0, status: int = 200, **more: Any) -> None:
    times = {
        "total_ns": 30 * MS,
        "gateway_ns": 20_000,
        "upstream_ns": 29 * MS,
        "bytes_in": 100,
        "bytes_out": 300,
    }
    slabs.slab(worker).count_exchange(route, status, **{**times, **more})


def test_a_family_has_help_and_type() -> None:
    for family in families(Slabs(1, 1), [{"http_route": "/"}]).values():
        assert family.documentation.endswith((".", "seconds."))
        assert family.type in ("counter", "gauge", "histogram")


def test_durations_are_a_histogram_by_route_and_status_class() -> None:
    slabs = Slabs(1, 2)
    exchange(slabs, status=204)
    exchange(slabs, status=200, total_ns=7000 * MS)
    exchange(slabs, status=503, route=1)
    duration = families(slabs, [{"http_route": "/a"}, {"http_route": "/b"}])[
        "http_server_request_duration_seconds"
    ]
    assert duration.type == "histogram"
    ok = {"http_route": "/a", "http_response_status_class": "2xx"}
    assert values(duration, "_count", **ok) == [2]
    assert values(duration, "_sum", **ok) == [pytest.approx(7.03)]
    cumulative = {
        sample.labels["le"]: sample.value
        for sample in duration.samples
        if ok.items() <= sample.labels.items() and "le" in sample.labels
    }
    assert [float(bound) for bound in cumulative] == [*DURATION_BOUNDS, float("inf")]
    assert list(cumulative.values()) == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2]
    assert values(duration, "_count", http_route="/b") == [1]
    assert values(duration, "_count", http_response_status_class="5xx") == [1]


def test_an_aborted_exchange_has_an_error_type_in_place_of_a_status_class() -> None:
    slabs = Slabs(1, 1)
    exchange(slabs, status=0)
    (sample,) = [
        sample
        for sample in families(slabs, [{"http_route": "/"}])["http_server_request_duration_seconds"].samples
        if sample.name.endswith("_count")
    ]
    assert sample.labels == {"http_route": "/", "error_type": "aborted"}


def test_the_gateways_own_share_and_the_upstreams_are_told_apart() -> None:
    slabs = Slabs(1, 1)
    exchange(slabs, gateway_ns=40_000, upstream_ns=1500 * MS)
    found = families(slabs, [{"http_route": "/"}])
    share = found["tetrapylon_gateway_duration_seconds"]
    assert values(share, "_sum") == [pytest.approx(40e-6)]
    bounds = [sample.labels["le"] for sample in share.samples if "le" in sample.labels]
    assert [float(bound) for bound in bounds] == [*SHARE_BOUNDS, float("inf")]
    assert values(found["tetrapylon_upstream_duration_seconds"]) == [1.5]
    assert values(found["tetrapylon_received_bytes"], http_route="/") == [100]
    assert values(found["tetrapylon_sent_bytes"], http_route="/") == [300]


def test_workers_are_summed() -> None:
    slabs = Slabs(3, 1)
    for worker in range(3):
        exchange(slabs, worker=worker)
        slabs.slab(worker).count_accept()
        slabs.slab(worker).count_reject(Reject.MALFORMED)
    found = families(slabs, [{"http_route": "/"}])
    assert values(found["http_server_request_duration_seconds"], "_count") == [3]
    assert values(found["tetrapylon_connections_accepted"]) == [3]
    assert values(found["tetrapylon_rejects"], reason="malformed") == [3]


def test_every_reason_to_refuse_is_there_from_the_start() -> None:
    rejects = families(Slabs(1, 0), [])["tetrapylon_rejects"]
    assert [sample.labels["reason"] for sample in rejects.samples] == list(REJECT_NAMES)
    assert values(rejects) == [0] * len(REJECT_NAMES)


def test_a_route_never_asked_for_has_no_series() -> None:
    slabs = Slabs(1, 2)
    exchange(slabs, route=1)
    for family in families(slabs, [{"http_route": "/silent"}, {"http_route": "/asked"}]).values():
        assert values(family, http_route="/silent") == []


def test_requests_without_a_route_have_no_route_label() -> None:
    slabs = Slabs(1, 1)
    exchange(slabs, route=-1, status=404)
    duration = families(slabs, [{"http_route": "/"}])["http_server_request_duration_seconds"]
    assert all("http_route" not in sample.labels for sample in duration.samples)
    assert values(duration, "_count", http_response_status_class="4xx") == [1]


def test_routes_with_the_same_labels_share_a_series() -> None:
    slabs = Slabs(1, 3)
    for route in range(3):
        exchange(slabs, route=route)
    labels = [{"http_route": "/a"}, {"http_route": "/b"}, {"http_route": "/a"}]
    duration = families(slabs, labels)["http_server_request_duration_seconds"]
    assert values(duration, "_count", http_route="/a") == [2]
    assert values(duration, "_count", http_route="/b") == [1]


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "new\nline", "{brace}, =", "caf\u00e9 \u4e16", ""])
def test_any_label_comes_back_as_it_was(name: str) -> None:
    slabs = Slabs(1, 1)
    exchange(slabs)
    sent = families(slabs, [{"http_route": name}])["tetrapylon_sent_bytes"]
    assert [sample.labels for sample in sent.samples] == [{"http_route": name}]


def test_restarts_are_the_supervisors_count() -> None:
    slabs = Slabs(1, 0)
    slabs.supervisor().count_restart()
    assert values(families(slabs, [])["tetrapylon_worker_restarts"]) == [1]


def test_workers_are_counted_by_what_they_do() -> None:
    slabs = Slabs(3, 0)
    slabs.supervisor().claim(1)
    slabs.slab(0).state = slabs.slab(1).state = State.SERVING
    workers = families(slabs, [])["tetrapylon_workers"]
    assert {sample.labels["state"]: sample.value for sample in workers.samples} == {
        "vacant": 1,
        "starting": 0,
        "serving": 2,
        "draining": 0,
    }


def test_the_version_is_told() -> None:
    assert values(families(Slabs(1, 0), [])["tetrapylon_build_info"], version="1.2.3") == [1]


def test_loop_lag_is_a_histogram() -> None:
    slabs = Slabs(2, 0)
    slabs.slab(0).observe_lag(0.002)
    slabs.slab(1).observe_lag(0.2)
    lag = families(slabs, [])["tetrapylon_loop_lag_seconds"]
    assert values(lag, "_count") == [2]
    assert values(lag, "_sum") == [pytest.approx(0.202)]


def test_many_routes_come_in_pieces_of_one_moment() -> None:
    slabs = Slabs(2, 500)
    for route in range(500):
        exchange(slabs, worker=route % 2, route=route)
    labels = [{"http_route": f"/{route}"} for route in range(500)]
    pieces = Exposition(slabs, lambda: labels, lambda: 1, "1").stream()
    text = next(pieces)
    for route in range(500):
        exchange(slabs, route=route)
    for piece in pieces:
        assert 0 < len(piece) < 2 * PIECE
        text += piece
    found = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert values(found["http_server_request_duration_seconds"], "_count") == [1] * 500
    assert values(found["tetrapylon_received_bytes"]) == [100] * 500
