"""A service that takes a known time: `python -m benchmarks.assess.service PORT RECIPE BYTES LOG`.

It waits as long as the recipe says of the number at the end of the path, answers with so many bytes, and logs
in the combined format with seconds.
"""

import asyncio
import re
import sys
import time
from typing import TextIO

from .durations import seconds

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
CLOSE = re.compile(rb"\r\nconnection: *close", re.I)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Type: text/plain\r\n\r\n"


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recipe: str, answer: bytes, log: TextIO
) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            began = time.perf_counter()
            length = LENGTH.search(head)
            if length is not None:
                await reader.readexactly(int(length[1]))
            method, target, _ = head.split(b" ", 2)
            due = began + seconds(recipe, int(target.rpartition(b"/")[2]))
            await asyncio.sleep(due - time.perf_counter())
            writer.write(answer)
            await writer.drain()
            stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            took = time.perf_counter() - began
            request = f"{method.decode()} {target.decode()} HTTP/1.1"
            log.write(f'127.0.0.1 - - [{stamp}] "{request}" 200 {len(answer)} "-" "-" {took:.6f}\n')
            if CLOSE.search(head):
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(port: int, recipe: str, size: int, log: TextIO) -> None:
    answer = HEAD % size + b"x" * size
    server = await asyncio.start_server(
        lambda r, w: serve(r, w, recipe, answer, log), "127.0.0.1", port, limit=1 << 20, backlog=1024
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with open(sys.argv[4], "w", buffering=1) as file:
        asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), file))
