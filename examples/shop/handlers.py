"""What the shop answers itself: handlers, as docs/handlers.md walks through them."""

from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct

from tetrapylon import Event, Header, HTTPError, Request, Response

PRICES = {1: 12.5, 2: 99.0}


class Quote(Struct):
    id: int
    symbol: str
    price: float
    size: int
    open: bool
    tags: list[str]


class Line(Struct):
    sku: Annotated[str, Meta(min_length=1, max_length=20)]
    count: Annotated[int, Meta(ge=1, le=1000)]


class Order(Struct):
    customer: str
    lines: Annotated[list[Line], Meta(min_length=1)]
    note: str = ""


def quote(id: int, size: Annotated[int, Meta(ge=1)] = 100) -> Quote:
    """The price of one thing, now."""
    price = PRICES.get(id)
    if price is None:
        raise HTTPError(404, f"there is no quote {id}")
    return Quote(id, "ACME", price, size, True, ["nyse"])


def order(order: Order, x_tenant: Annotated[str, Header()] = "public") -> Response:
    """Takes an order."""
    count = sum(line.count for line in order.lines)
    return Response({"tenant": x_tenant, "pieces": count}, 201, headers={"Location": "/orders/1"})


async def prices(request: Request, last: int = 3) -> AsyncIterator[Event]:
    """Prices as they change, as server-sent events."""
    for n in range(last):
        yield Event(data={"n": n, "price": PRICES[1] + n}, id=str(n))
