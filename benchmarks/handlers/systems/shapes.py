"""The types of the experiment."""

import msgspec


class Quote(msgspec.Struct):
    id: int
    symbol: str
    price: float
    size: int
    open: bool
    tags: list[str]


class Line(msgspec.Struct):
    sku: str
    count: int
    price: float


class Customer(msgspec.Struct):
    id: int
    name: str
    email: str


class Order(msgspec.Struct):
    id: int
    customer: Customer
    lines: list[Line]
    note: str
