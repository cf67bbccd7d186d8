# mypy: ignore-errors
"""The same on BlackSheep, with its own JSON and dataclasses."""

from dataclasses import dataclass

from blacksheep import Application, get, post


@dataclass
class Quote:
    id: int
    symbol: str
    price: float
    size: int
    open: bool
    tags: list[str]


@dataclass
class Line:
    sku: str
    count: int
    price: float


@dataclass
class Customer:
    id: int
    name: str
    email: str


@dataclass
class Order:
    id: int
    customer: Customer
    lines: list[Line]
    note: str


app = Application()


@get("/quotes/{id}")
async def quote(id: int) -> Quote:
    return Quote(id, "ACME", 12.5, 100, True, ["nyse", "tech"])


@post("/orders")
async def orders(order: Order) -> Order:
    return order
