"""The handlers of the experiment on Tetrapylon."""

from benchmarks.handlers.systems.shapes import Order, Quote
from tetrapylon import AccessLog, Config, Log, Tetrapylon

# As the others: without an access log.
app = Tetrapylon(Config(log=Log(access=AccessLog(sample=0))), docs=None)


@app.get("/quotes/{id:int}")
def quote(id: int) -> Quote:
    return Quote(id, "ACME", 12.5, 100, True, ["nyse", "tech"])


@app.get("/async/{id:int}")
async def waitless(id: int) -> Quote:
    return Quote(id, "ACME", 12.5, 100, True, ["nyse", "tech"])


@app.post("/orders")
def orders(order: Order) -> Order:
    return order
