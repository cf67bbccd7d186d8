"""One epoll set nested in an asyncio loop, and deadlines."""

import asyncio
from typing import Final, final

from typing_extensions import disjoint_base

@disjoint_base
class Timed:
    """What a deadline can be set on."""

@disjoint_base
class Handle(Timed):
    """A file descriptor in the reactor's epoll set."""

@final
class Reactor:
    """Watches sockets for one loop, which sees a single descriptor; works on any loop that has `add_reader`.

    To be made in the process that runs the loop, after any fork. Raises OSError without a descriptor.
    """

    handles: Final[int]
    """Descriptors registered now."""
    running: Final[bool]

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def close(self) -> None:
        """Leaves the loop. What is registered is not closed."""
