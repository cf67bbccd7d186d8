"""The team's own tests of their gateway, over HTTP: against the Flask app, or what `SHOP_URL` names."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from werkzeug.serving import make_server

from examples.shop import flask_gateway, services

KEY = {"X-API-Key": "spring-sale-2026"}


@contextmanager
def served(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """Where the gateway is."""
    if "SHOP_URL" in os.environ:
        yield os.environ["SHOP_URL"]
        return
    with (
        served(services.app) as behind,
        served(flask_gateway.app) as url,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(flask_gateway, "USERS", behind)
        patch.setattr(flask_gateway, "ORDERS", behind)
        yield url
    flask_gateway.session.close()


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=5)


def test_a_user_is_shown_to_those_with_a_key(shop: str) -> None:
    assert get(f"{shop}/users/1").status_code == 401
    assert get(f"{shop}/users/1", **{"X-API-Key": "guessed"}).status_code == 401
    answer = get(f"{shop}/users/1", **KEY)
    assert (answer.status_code, answer.json()) == (200, {"id": 1, "name": "Ada", "team": 7})
    assert get(f"{shop}/users/3", **KEY).status_code == 404


def test_orders_are_found_and_made(shop: str) -> None:
    assert [each["id"] for each in get(f"{shop}/orders/search?user=2").json()] == [11]
    made = requests.post(f"{shop}/orders/new", json={"lines": [{"sku": "a", "count": 2}]}, timeout=5)
    assert (made.status_code, made.json()["lines"]) == (201, [{"sku": "a", "count": 2}])


def test_the_home_page_has_a_user_and_their_orders(shop: str) -> None:
    page = get(f"{shop}/home/1").json()
    assert (page["user"]["name"], [each["total"] for each in page["orders"]]) == ("Ada", [25.0])


def test_a_quote_has_a_price(shop: str) -> None:
    assert get(f"{shop}/quotes/1?size=3").json()["price"] == 12.5
    assert get(f"{shop}/quotes/9").status_code == 404


def test_nobody_asks_for_orders_without_end(shop: str) -> None:
    statuses = {get(f"{shop}/orders/search").status_code for _ in range(110)}
    assert statuses == {200, 429}
