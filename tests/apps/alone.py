"""gunicorn by itself, as a team has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.harness.wait import eventually


@contextmanager
def gunicorn(app: str, env: Mapping[str, str]) -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-m", "gunicorn", "--threads", "4", "--bind", "127.0.0.1:0", app]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
    said: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=said.extend, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        eventually(lambda: any("Booting worker" in each for each in said), "gunicorn serves", within=20)
        yield next(found[1] for each in said if (found := re.search(r"http://([\d.:]+)", each)))
    finally:
        process.terminate()
        process.wait(20)
        reader.join(20)
        process.stderr.close()
