"""/metrics: what prometheus_client's parser reads back is what was counted."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.openmetrics import read_openmetrics
from tetrapylon._core.telemetry.counters import (
    DURATION_BOUNDS,
    REJECT_NAMES,
    SHARE_BOUNDS,
    Reject,
    Slabs,
    State,
    set_bounds,
)
from tetrapylon.admin import processes
from tetrapylon.admin.metrics import PIECE, Exposition
from tetrapylon.admin.text import Format

MS = 1_000_000


PLAIN = Format(openmetrics=False)
OPEN = Format(openmetrics=True, created=1_700_000_000.25)


def told(slabs: Slabs, labels: list[dict[str, str]], form: Format = PLAIN) -> str:
    exposition = Exposition(slabs, lambda: labels, lambda: slabs.workers, "1.2.3")
    return b"".join(exposition.stream(form)).decode()


def families(slabs: Slabs, labels: list[dict[str, str]], form: Format = PLAIN) -> dict[str, Metric]:
    text = told(slabs, labels, form)
    found = list(text_string_to_metric_families(text) if form is PLAIN else read_openmetrics(text))
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
    assert "1.0" in cumulative  # as OpenMetrics writes it, so that a series keeps its name in both formats
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
    assert sample.labels == {"http_route": "/", "http_request_method": "GET", "error_type": "aborted"}


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
    pieces = Exposition(slabs, lambda: labels, lambda: 1, "1").stream(PLAIN)
    text = next(pieces)
    for route in range(500):
        exchange(slabs, route=route)
    for piece in pieces:
        assert 0 < len(piece) < 2 * PIECE
        text += piece
    found = {family.name: family for family in text_string_to_metric_families(text.decode())}
    assert values(found["http_server_request_duration_seconds"], "_count") == [1] * 500
    assert values(found["tetrapylon_received_bytes"]) == [100] * 500


def test_requests_are_counted_by_method_as_opentelemetry_names_them() -> None:
    slabs = Slabs(2, 1)
    for method in (b"GET", b"GET", b"PUT", b"BREW", b"get", b""):
        exchange(slabs, method=method)
    exchange(slabs, worker=1, method=b"GET", status=0)
    requests = families(slabs, [{"http_route": "/"}])["tetrapylon_requests"]
    answered = {"http_response_status_class": "2xx"}
    assert values(requests, http_request_method="GET", **answered) == [2]
    assert values(requests, http_request_method="PUT", **answered) == [1]
    assert values(requests, http_request_method="_OTHER", **answered) == [3]
    assert values(requests, http_request_method="GET", error_type="aborted") == [1]


def test_durations_are_told_by_method() -> None:
    slabs = Slabs(2, 2)
    exchange(slabs, method=b"GET", total_ns=7 * MS)
    exchange(slabs, worker=1, method=b"POST", total_ns=700 * MS)
    exchange(slabs, worker=1, route=1, method=b"POST", total_ns=70 * MS)
    duration = families(slabs, [{"http_route": "/"}] * 2)["http_server_request_duration_seconds"]
    assert values(duration, "_sum", http_request_method="GET") == [pytest.approx(0.007)]
    assert values(duration, "_sum", http_request_method="POST") == [pytest.approx(0.77)]


def test_routes_tell_how_many_requests_are_in_flight() -> None:
    slabs = Slabs(1, 1)
    exchange(slabs)
    assert values(families(slabs, [{"http_route": "/"}])["tetrapylon_route_active_requests"]) == [0]


def test_upstreams_have_histograms_of_their_own() -> None:
    slabs = Slabs(2, 0)
    for worker in range(2):
        slabs.slab(worker).observe_upstream("shop", 1 * MS, 30 * MS, 700 * MS)
    found = families(slabs, [])
    for name, sum_ in (
        ("tetrapylon_upstream_connect_duration_seconds", 0.002),
        ("tetrapylon_upstream_first_byte_duration_seconds", 0.06),
        ("http_client_request_duration_seconds", 1.4),
    ):
        assert values(found[name], "_count", upstream="shop") == [2]
        assert values(found[name], "_sum", upstream="shop") == [pytest.approx(sum_)]


def test_upstreams_beyond_those_with_room_are_told_as_other() -> None:
    slabs = Slabs(1, 0)
    for number in range(slabs.upstreams.capacity + 5):
        slabs.slab(0).observe_upstream(f"upstream-{number}", MS, MS, MS)
    told = families(slabs, [])["http_client_request_duration_seconds"]
    assert values(told, "_count", upstream="upstream-0") == [1]
    assert values(told, "_count", upstream="other", otel_metric_overflow="true") == [6]


class TestOpenMetrics:
    @pytest.fixture
    def slabs(self) -> Slabs:
        """With something in each kind of family."""
        slabs = Slabs(2, 2)
        exchange(slabs)
        exchange(slabs, route=1, worker=1, status=0)
        slabs.slab(0).observe_upstream("shop", MS, MS, MS)
        slabs.slab(0).count("tetrapylon_policy_refusals_total", {"policy": "api_key", "reason": 'a"b'})
        slabs.board.check("shop", "10.0.0.1:80", False)
        slabs.board.mark("shop", "10.0.0.1:80", False)
        return slabs

    def test_it_says_what_prometheus_text_says(self, slabs: Slabs, monkeypatch: pytest.MonkeyPatch) -> None:
        # What this process takes of the machine is another number at the second look.
        monkeypatch.setattr(
            processes, "look", lambda *_: processes.Taken(1.25, 4096, 7, 1024, 1_700_000_000.5)
        )
        labels = [{"http_route": "/a"}, {"http_route": 'quo"te\\'}]
        plain, found = families(slabs, labels), families(slabs, labels, OPEN)
        for name, family in plain.items():
            twin = found[name.removesuffix("_info") if name.endswith("_info") else name]
            said = [(s.name, s.labels, s.value) for s in twin.samples if not s.name.endswith("_created")]
            assert said == [(s.name, s.labels, s.value) for s in family.samples]
        assert len(found) == len(plain)

    def test_each_counter_and_histogram_tells_since_when(self, slabs: Slabs) -> None:
        for family in families(slabs, [{"http_route": "/a"}, {"http_route": "/b"}], OPEN).values():
            born = [s.value for s in family.samples if s.name.endswith("_created")]
            counted = [s for s in family.samples if s.name.endswith(("_total", "_count"))]
            assert len(born) == (len(counted) if family.type in ("counter", "histogram") else 0)
            assert set(born) <= {1_700_000_000.25}

    def test_units_are_those_that_names_end_with(self, slabs: Slabs) -> None:
        units = {f.name: f.unit for f in families(slabs, [], OPEN).values() if f.unit}
        assert units["http_server_request_duration_seconds"] == "seconds"
        assert units["tetrapylon_sent_bytes"] == "bytes"
        assert all(name.endswith(unit) for name, unit in units.items())

    def test_it_ends_with_eof_and_nothing_after(self, slabs: Slabs) -> None:
        text = told(slabs, [], OPEN)
        assert text.endswith("\n# EOF\n")
        assert text.count("# EOF") == 1
        assert "\n\n" not in text


@pytest.fixture
def other_bounds() -> Iterator[None]:
    """A process has one set of bounds; tests give it back as it was."""
    set_bounds([0.001, 0.5], [2e-6])
    yield
    set_bounds(DURATION_BOUNDS, SHARE_BOUNDS)


@pytest.mark.usefixtures("other_bounds")
def test_bounds_are_those_that_were_set() -> None:
    slabs = Slabs(1, 1)
    for total in (1 * MS, 2 * MS, 501 * MS):
        exchange(slabs, total_ns=total, gateway_ns=3000)
    found = families(slabs, [{"http_route": "/"}])
    duration = found["http_server_request_duration_seconds"]
    by_bound = {s.labels["le"]: s.value for s in duration.samples if "le" in s.labels}
    assert by_bound == {"0.001": 1, "0.5": 2, "+Inf": 3}
    share = found["tetrapylon_gateway_duration_seconds"]
    assert {s.labels["le"]: s.value for s in share.samples if "le" in s.labels} == {"2e-06": 0, "+Inf": 3}


def test_ten_thousand_series_are_told_in_three_tenths_of_a_second() -> None:
    slabs = Slabs(2, 300)
    for route in range(300):
        for status in (200, 404):
            exchange(slabs, worker=route % 2, route=route, status=status)
    labels = [{"http_route": f"/api/v1/things/{route}/{{id}}"} for route in range(300)]
    exposition = Exposition(slabs, lambda: labels, lambda: 2, "1")
    for form in (PLAIN, OPEN):
        took = []
        for _ in range(3):
            began = time.perf_counter()
            series = sum(piece.count(b"\n") - piece.count(b"#") for piece in exposition.stream(form))
            took.append(time.perf_counter() - began)
        assert series >= 10_000
        assert min(took) < 0.3
