"""`python -m benchmarks.bridge`: TLS in front of a load generator that has none.

Takes plain connections and carries each over TLS to a Unix socket, with a client certificate.
"""

import argparse
import asyncio
import ssl
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from .e2e.process import LOAD_CORE, pinned


class Bridge:
    """The process; `port` is where it takes connections."""

    def __init__(self, socket: Path, ca: str, cert: str, key: str) -> None:
        command = [sys.executable, "-m", "benchmarks.bridge", str(socket), ca, cert, key]
        with pinned(LOAD_CORE):
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> "Bridge":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def serve(socket: str, context: ssl.SSLContext) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(
            socket, ssl=context, server_hostname="api.example.com"
        )
        await asyncio.gather(carry(reader, back), carry(there, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bridge", description=__doc__)
    for name in ("socket", "ca", "cert", "key"):
        parser.add_argument(name)
    options = parser.parse_args()
    context = ssl.create_default_context(cafile=options.ca)
    context.load_cert_chain(options.cert, options.key)
    asyncio.run(serve(options.socket, context))


if __name__ == "__main__":
    main()
