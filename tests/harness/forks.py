"""Forked processes for tests of shared memory: what one found comes back through a pipe."""

import os
import pickle
import sys
from collections.abc import Callable
from typing import Any


class Fork:
    """A child that runs `work`; `result()` is what it returned, `pid` its process."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reader)
            try:
                with open(writer, "wb") as pipe:
                    pipe.write(pickle.dumps(work()))
            finally:
                os._exit(sys.exc_info()[0] is not None)
        os.close(writer)

    def result(self) -> Any:
        """Waits for its end. Raises AssertionError where it failed."""
        with open(self._reader, "rb") as pipe:
            told = pipe.read()
        assert self.end() == 0, "the child failed"
        return pickle.loads(told)

    def kill(self, number: int) -> None:
        """Sends the signal, which must end it."""
        os.kill(self.pid, number)
        os.close(self._reader)
        self.end()

    def end(self) -> int:
        return os.waitpid(self.pid, 0)[1]
