"""The shop as an app: `tetrapylon run examples.shop.app:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from examples.shop.handlers import Quote, order, prices, quote
from tetrapylon import PolicyUse, Request, Tetrapylon


@asynccontextmanager
async def lifespan(shared: dict[str, Any]) -> AsyncIterator[None]:
    """What all requests of a worker share: opened before it serves, closed after it."""
    shared["cache"] = {}
    yield
    shared["cache"].clear()


app = Tetrapylon(lifespan=lifespan)
app.get("/quotes/{id:int}")(quote)
app.post("/orders", policies=[PolicyUse(use="examples.shop.policies:Tenant")])(order)
app.get("/prices")(prices)


@app.get("/cached/{id:int}")
async def cached(request: Request, id: int) -> Quote:
    cache: dict[int, Quote] = request.shared["cache"]
    if id not in cache:
        cache[id] = quote(id)
    return cache[id]
