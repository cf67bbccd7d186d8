"""The same by hand on Granian's RSGI, with the same encoder and decoder."""

from typing import Any

import msgspec

from benchmarks.handlers.systems.shapes import Order, Quote

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Order).decode
JSON = [("content-type", "application/json")]


async def app(scope: Any, proto: Any) -> None:
    if scope.path.startswith("/quotes/"):
        value: Any = Quote(int(scope.path[8:]), "ACME", 12.5, 100, True, ["nyse", "tech"])
    else:
        value = decode(await proto())
    proto.response_bytes(200, JSON, encode(value))
