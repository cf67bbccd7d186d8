"""A child process: how it is forked, what it is given, how its end is told (standard library alone)."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from tetrapylon.errors import TetrapylonError
from tetrapylon.telemetry.events import line, say

if TYPE_CHECKING:
    import socket

    from tetrapylon._core.telemetry.counters import Slab, Slabs
    from tetrapylon.processes.channel import Channel

EXIT_FAILED = 1
EXIT_USAGE = 2

# What the supervisor handles, and what a child must not inherit a handler for.
SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
)
# A terminal sends these to the whole process group; the supervisor alone decides.
LEFT_TO_SUPERVISOR = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Timing(NamedTuple):
    """Seconds."""

    beat: float = 1.0
    """Between two heartbeats of a worker, and between two looks of the supervisor at them."""
    silence: float = 5.0
    """A serving worker without a heartbeat for so long is replaced."""
    start: float = 60.0
    """A worker that does not serve after so long is replaced."""
    grace: float = 1.0
    """Between asking a process to end and killing it."""


class Context(NamedTuple):
    """What a child is given at its fork."""

    worker: int
    """The worker's place; -1 for the control process."""
    sockets: list[tuple[socket.socket, str]]
    """To listen on, each with the address that the config has for it."""
    slabs: Slabs
    slab: Slab
    """The worker's own; the supervisor's for the control process, to read."""
    config: int
    """The file of the config in force, as `config.encode` wrote it. To be closed."""
    slots: int = -1
    """The file that names the routes' counters, for the control process; see `tetrapylon.processes.slots`."""
    channel: Channel | None = None
    """To the supervisor."""
    lifeline: int = -1
    """A pipe that reads EOF once the supervisor is gone; -1 without one."""
    notify: int = -1
    """A pipe to the supervisor: one byte says "look at my state"; -1 without one."""
    timing: Timing = Timing()
    found: Mapping[str, tuple[bytes, bytes]] = MappingProxyType({})
    """The targets found last, by upstream: the fingerprint of where, and the set as MessagePack."""


@contextmanager
def blocked_signals() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def spawn(main: Callable[[], int]) -> int:
    """Forks a child that runs `main` and ends with the status it returns. Returns its pid.

    A TetrapylonError in it is a refusal that would come again: told without a traceback, status EXIT_USAGE.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with blocked_signals():
        pid = os.fork()
        if pid == 0:
            _live(main)
    return pid


def send_signal(pid: int, number: int) -> None:
    """To a child that may have ended, and is not reaped yet."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _live(main: Callable[[], int]) -> NoReturn:
    status = EXIT_FAILED
    try:
        _forget_handlers()
        status = main()
    except TetrapylonError as error:
        line(str(error))
        status = EXIT_USAGE
    except BaseException:  # noqa: BLE001 - the last frame of this process
        traceback.print_exc()
    finally:
        _flush_and_exit(status)


def _forget_handlers() -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN if number in LEFT_TO_SUPERVISOR else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _flush_and_exit(status: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = status or EXIT_FAILED
    os._exit(status)


def describe_end(wait_status: int) -> str:
    """`exited with status 3`, `was killed by SIGSEGV (core dumped)`, from what waitpid says."""
    if not os.WIFSIGNALED(wait_status):
        return f"exited with status {os.waitstatus_to_exitcode(wait_status)}"
    number = os.WTERMSIG(wait_status)
    core = " (core dumped)" if os.WCOREDUMP(wait_status) else ""
    return f"was killed by {name_signal(number)}{core}"


def name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def raise_descriptor_limit(needed: int) -> None:
    """To the hard limit: the soft one is kept low for programs that use select(2)."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError) as error:  # unlimited may be more than the kernel allows one process
        say("warning", f"the limit of descriptors stays at {soft}: {error}")
        most = soft
    if most != resource.RLIM_INFINITY and most < needed:
        say(
            "warning",
            f"a worker may need {needed} descriptors and is allowed {most}: more clients have to wait;"
            " raise the limit (ulimit -Hn, LimitNOFILE=) or lower server.limits.connections",
        )
