"""A service that takes a known time: `python -m benchmarks.assess.service PORT KIND LOG`.

It waits 30 ms for each request (`steady`), what the request's number makes of 25 to 35 ms (`spread`), or so
many seconds (`=0.007`), and logs in the combined format with seconds. The same number always waits equally
long, so that two ways to it can be compared.
"""

import asyncio
import random
import sys
import time
from typing import TextIO

MIDDLE, SPREAD = 0.030, 0.005
BODY = b"x" * 203
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain\r\n\r\n"
ANSWER = HEAD % len(BODY) + BODY


def wait_of(number: int, kind: str) -> float:
    if kind.startswith("="):
        return float(kind[1:])
    return MIDDLE + (random.Random(number).uniform(-SPREAD, SPREAD) if kind == "spread" else 0.0)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str, log: TextIO) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            began = time.perf_counter()
            target = head.split(b" ", 2)[1]
            due = began + wait_of(int(target.rpartition(b"/")[2]), kind)
            await asyncio.sleep(due - time.perf_counter())
            writer.write(ANSWER)
            await writer.drain()
            stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            took = time.perf_counter() - began
            log.write(
                f'127.0.0.1 - - [{stamp}] "GET {target.decode()} HTTP/1.1" 200 203 "-" "-" {took:.6f}\n'
            )
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int, kind: str, log: TextIO) -> None:
    server = await asyncio.start_server(lambda r, w: serve(r, w, kind, log), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with open(sys.argv[3], "w", buffering=1) as file:
        asyncio.run(main(int(sys.argv[1]), sys.argv[2], file))
