# mypy: ignore-errors
"""The same on FastAPI with pydantic."""

from fastapi import FastAPI
from pydantic import BaseModel


class Quote(BaseModel):
    id: int
    symbol: str
    price: float
    size: int
    open: bool
    tags: list[str]


class Line(BaseModel):
    sku: str
    count: int
    price: float


class Customer(BaseModel):
    id: int
    name: str
    email: str


class Order(BaseModel):
    id: int
    customer: Customer
    lines: list[Line]
    note: str


app = FastAPI()


@app.get("/quotes/{id}")
async def quote(id: int) -> Quote:
    return Quote(id=id, symbol="ACME", price=12.5, size=100, open=True, tags=["nyse", "tech"])


@app.post("/orders")
async def orders(order: Order) -> Order:
    return order
