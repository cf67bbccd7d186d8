"""Passwords against their hashes: slow on purpose, so never on the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tetrapylon.errors import TetrapylonError
from tetrapylon.identity.consumers import known

if TYPE_CHECKING:
    from tetrapylon._core.identity import Known
    from tetrapylon.config.model import Config

__all__ = ["Checks", "MissingLibrary", "problems", "require", "users", "verify"]

THREADS = 2
MOST_PENDING = 256

BCRYPT_TAKES = 72
"""Bytes of a password that bcrypt looks at; what lies beyond would be as good as any other."""
LONGEST = 1024
"""Bytes of a password that are looked at; a longer one is nobody's."""


class MissingLibrary(TetrapylonError):
    """A hash needs a library that is not installed."""


def require(hashes: Sequence[str]) -> None:
    """Imports what these hashes are verified with. Raises MissingLibrary."""
    try:
        for each in hashes:
            if each.startswith("$argon2"):
                import argon2  # noqa: F401
            else:
                import bcrypt  # noqa: F401
    except ImportError as error:
        raise MissingLibrary(
            f"{error.name} is not installed; `pip install tetrapylon[basic]` brings it"
        ) from None


def verify(hashes: Sequence[str], password: bytes) -> bool:
    """Whether the password is that of one of the hashes. Takes tens of milliseconds; releases the GIL."""
    return len(password) <= LONGEST and any(_verify(each, password) for each in hashes)


def _verify(hashed: str, password: bytes) -> bool:
    if hashed.startswith("$argon2"):
        import argon2

        try:
            return argon2.PasswordHasher().verify(hashed, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False
    import bcrypt

    if len(password) > BCRYPT_TAKES:
        return False
    # $2y$ is crypt_blowfish's name for what others call $2b$.
    return bcrypt.checkpw(password, hashed.replace("$2y$", "$2b$", 1).encode())


class Checks:
    """A few threads that verify, and a bounded queue before them. One for all policies of a gateway."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="password")
        self._pending = 0
        self._closed = False

    @classmethod
    def of(cls, scope: Any) -> Checks:
        """The one of this gateway, made on first use and closed with it."""
        for each in scope.closing:
            if isinstance(each, cls):
                return each
        made = cls(scope.loop)
        scope.closing.append(made)
        return made

    def ask(self, hashes: Sequence[str], password: bytes, then: Callable[[bool], object]) -> bool:
        """`then` is told on the loop whether it is one's. False: there is too much to do already."""
        if self._pending >= MOST_PENDING or self._closed:
            return False
        self._pending += 1
        future = self._pool.submit(verify, hashes, password)

        def tell() -> None:
            self._pending -= 1
            if not self._closed:
                then(future.result())

        def done(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                self._loop.call_soon_threadsafe(tell)

        future.add_done_callback(done)
        return True

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)


def users(config: Config, settings: Any) -> dict[str, tuple[tuple[str, ...], Known]]:
    """The consumers that have passwords, by name."""
    return {
        consumer.name: (consumer.passwords, known(consumer, settings.headers))
        for consumer in config.consumers
        if consumer.passwords
    }


def problems(config: Config) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    hashes = [each for consumer in config.consumers if consumer.name for each in consumer.passwords or ()]
    if not hashes:
        yield (), "no consumer has a password", "give some `passwords`"
    try:
        require([each for each in hashes if isinstance(each, str)])  # not one that could not be read
    except MissingLibrary as missing:
        message, _, hint = str(missing).partition("; ")
        yield (), message, hint
