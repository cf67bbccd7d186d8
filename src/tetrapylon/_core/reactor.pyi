"""One epoll set nested in an event loop, and the deadlines of everything that stands on it."""

import asyncio
from typing import Self

class Timed:
    """What a deadline can be set on, one at a time."""

class Handle:
    """A descriptor in a reactor's epoll set. A compiled subclass says what its events mean."""

class Reactor:
    """Sockets and deadlines of one thread, driven by its event loop, which sees one descriptor and one timer.

    Level-triggered, at most 128 events in a batch and four batches before the loop's own callbacks have their
    turn. To be made in the process and thread that runs the loop.

    Raises OSError when the kernel has no epoll set to give, MemoryError.
    """

    def __new__(cls, loop: asyncio.AbstractEventLoop) -> Self: ...
    @property
    def handles(self) -> int:
        """Descriptors registered; those of asyncio transports are not among them."""
    @property
    def running(self) -> bool:
        """False once closed."""
    def close(self) -> None:
        """Sends what was gathered and leaves the loop; deadlines fall no more. A second call does nothing."""
