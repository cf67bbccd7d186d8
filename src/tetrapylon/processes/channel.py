"""What the supervisor and its children say to each other: whole messages, with descriptors where they help.

A channel is one end of a pair of SOCK_SEQPACKET sockets. Whatever may be large travels as the descriptor of a
file in memory, so that a message always fits.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

# The kernel takes 253 descriptors a message (SCM_MAX_FD).
MOST_DESCRIPTORS = 250
LARGEST = 65536
UNHEARD = frozenset(
    {
        errno.EPIPE,
        errno.ECONNRESET,
        errno.EAGAIN,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.ETOOMANYREFS,  # more descriptors are on their way between processes than one may have open
    }
)


class Message(msgspec.Struct, frozen=True, tag=True):
    """`descriptors` say what travels beside it, in that order."""


# From the supervisor to a worker


class Handed(Message, frozen=True):
    """To listen on once the config is in force that comes next. With a socket for each of `addresses`."""

    addresses: list[str]


class Prepare(Message, frozen=True):
    """Compile this config and hold it ready. With its file."""

    attempt: int
    """A number that no other reload has, not one that came to nothing either."""


class Commit(Message, frozen=True):
    """Serve by it."""

    attempt: int


class Abort(Message, frozen=True):
    """Forget it."""

    attempt: int


# From a worker to the supervisor


class Prepared(Message, frozen=True):
    """`error` is empty where it could be compiled."""

    attempt: int
    error: str = ""


class Committed(Message, frozen=True):
    attempt: int


class Pairs(Message, frozen=True):
    """What was sampled, on to the control process. With its file, as MessagePack: see `Outbox`."""

    of: str = "answers"
    """`answers` to compare, or `requests` to record."""


# Between the control process and the supervisor


class Reload(Message, frozen=True):
    """Read the config again; `back`: take this generation of the history in its place."""

    number: int
    origin: str
    dry_run: bool = False
    back: int | None = None


class Done(Message, frozen=True):
    """What became of that order. With a file: the outcome, as JSON."""

    number: int


class News(Message, frozen=True):
    """What is running. With the file of the config in force, one of the history, as JSON, and one of where a
    config was looked for last (`Sought`), as MessagePack: that one may have been refused."""


class Hosting(Message, frozen=True):
    """From the host of apps, and on to the control process: with a file, what becomes of them, as JSON."""


class Roll(Message, frozen=True):
    """To the host: replace the processes of these apps, whose code has changed."""

    apps: tuple[str, ...]


class Keep(Message, frozen=True):
    """To a host whose successor has come: run these on and end the others; without any, end with them. It
    says anew where the kept ones listen, and what becomes of them."""

    apps: tuple[str, ...] | None = None
    """None: all."""


class Ask(Message, frozen=True):
    """Of each worker: what its upstreams do."""

    number: int


class Purge(Message, frozen=True):
    """To each worker: forget stored answers. With a file: `how` and `what` of `Store.purge`, as JSON."""

    number: int


class Told(Message, frozen=True):
    """One worker's answer. With a file, as JSON."""

    number: int
    worker: int
    left: int = 0
    """How many more will come."""


# From the control process to the supervisor, and on to every worker


APP = b"app"
"""The fingerprint of where the targets of a hosted app are found: its host says them."""


class Found(Message, frozen=True):
    """The targets of an upstream, all of them. With their file, as MessagePack."""

    upstream: str
    fingerprint: bytes
    """Of the settings that they were found by."""


Any: TypeAlias = (
    Found
    | Handed
    | Prepare
    | Commit
    | Abort
    | Prepared
    | Committed
    | Pairs
    | Reload
    | Done
    | News
    | Hosting
    | Roll
    | Keep
    | Ask
    | Purge
    | Told
)
_decoder = msgspec.msgpack.Decoder(Any)


class Channel:
    """One end. Not blocking."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(other)

    @classmethod
    def of(cls, descriptor: int) -> Channel:
        """An end that was handed over, and is its owner's now."""
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> bool:
        """Whether the other end will see it: not one that has gone, or that has stopped reading long ago, and
        none where the kernel has no room for it."""
        try:
            socket.send_fds(self._sock, [msgspec.msgpack.encode(message)], descriptors)
        except OSError as error:
            if error.errno in UNHEARD:
                return False
            raise
        return True

    def receive(self) -> tuple[Any, list[int]] | None:
        """The next message, and the caller's own descriptors; None once the other end has gone.

        Raises BlockingIOError when there is none yet.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._sock, LARGEST, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return None
        return (_decoder.decode(data), list(descriptors)) if data else None

    def close(self) -> None:
        self._sock.close()


def file_of(data: bytes, name: str) -> int:
    """A descriptor of a file in memory with this content."""
    descriptor = os.memfd_create(f"tetrapylon-{name}", os.MFD_CLOEXEC)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def content_of(descriptor: int) -> bytes:
    """All that is in such a file, wherever the descriptor stands."""
    size = os.fstat(descriptor).st_size
    parts = []
    at = 0
    while at < size:
        part = os.pread(descriptor, size - at, at)
        if not part:
            break
        parts.append(part)
        at += len(part)
    return b"".join(parts)
