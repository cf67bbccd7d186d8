"""Which counters belong to which route."""

import os
from collections.abc import Iterator

import pytest

from tetrapylon.config.model import Config, Metrics, Respond, Route
from tetrapylon.processes.slots import OVERFLOW, Table, assign, labels_of, new_table, room_for


@pytest.fixture
def table() -> Iterator[int]:
    made = new_table()
    yield made
    os.close(made)


def routes(*paths: str, metrics: Metrics = Metrics()) -> Config:  # noqa: B008 - it is frozen
    return Config(routes=tuple(Route(path=path, respond=Respond()) for path in paths), metrics=metrics)


def test_what_is_added_is_read_and_what_was_read_stays(table: int) -> None:
    read = Table(table)
    assert read() == [OVERFLOW]
    assert assign(table, routes("/a", "/b"), 10) == [1, 2]
    assert [each["http_route"] for each in read()] == ["other", "/a", "/b"]
    assert assign(table, routes("/b", "/c"), 10) == [2, 3]
    assert read() == Table(table)()
    assert len(read()) == 4


def test_a_line_that_is_being_written_is_left_for_later(table: int) -> None:
    read = Table(table)
    size = os.fstat(table).st_size
    os.pwrite(table, b'{"http_route":', size)
    assert read() == [OVERFLOW]
    os.pwrite(table, b'{"http_route":"/a"}\n', size)
    assert read() == [OVERFLOW, {"http_route": "/a"}]


def test_routes_beyond_the_room_share_the_slot_of_the_others(table: int) -> None:
    config = routes("/a", "/b", "/c", metrics=Metrics(max_routes=2))
    assert assign(table, config, room_for(config)) == [1, 2, 0]


def test_a_route_is_known_by_what_it_takes() -> None:
    route = Route(path="/a", methods=("GET", "PUT"), host="shop.test", respond=Respond())
    assert labels_of(route) == {
        "http_route": "/a",
        "tetrapylon_route_methods": "GET,PUT",
        "server_address": "shop.test",
    }
