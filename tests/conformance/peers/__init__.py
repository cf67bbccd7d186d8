"""nginx and HAProxy, as Debian packages them, in the gateway's place."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.origin import Origin
from tests.harness import eventually, net

HERE = Path(__file__).parent
COMMANDS = {
    "nginx": ("nginx.conf", ["-p", "{dir}", "-e", "{dir}/error.log", "-c", "{dir}/nginx.conf"]),
    "haproxy": ("haproxy.cfg", ["-db", "-f", "{dir}/haproxy.cfg"]),
}


class Missing(Exception):
    """A peer is not installed."""


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise Missing(f"{name} is not installed; on Debian: apt-get install {name}")
    return found


def version(name: str) -> str:
    """What the program says about itself, in one word: `1.22.1`."""
    told = subprocess.run([program(name), "-v"], capture_output=True, text=True, check=True)
    words = (told.stdout + told.stderr).replace("/", " ").split()
    return next(word.partition("-")[0] for word in words if word[0].isdigit())


@contextmanager
def running(name: str, origin: Origin) -> Iterator[str]:
    """The peer in front of the origin; its address.

    Raises:
        Missing: it is not installed.
        AssertionError: it does not listen.
    """
    config, arguments = COMMANDS[name]
    with net.listen() as free:
        address = net.join(free)
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as where:
        text = (HERE / config).read_text(encoding="utf-8")
        port = address.rpartition(":")[2]
        for word, value in (("@DIR@", where), ("@PORT@", port), ("@UPSTREAM@", str(origin.port))):
            text = text.replace(word, value)
        Path(where, config).write_text(text, encoding="utf-8")
        Path(where).chmod(0o755)
        process = subprocess.Popen(
            [program(name), *(argument.format(dir=where) for argument in arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: listens(address), f"{name} listens on {address}", within=10)
            yield address
        finally:
            process.terminate()
            process.wait(10)


def listens(address: str) -> bool:
    try:
        net.connect(address, timeout=1).close()
    except OSError:
        return False
    return True
