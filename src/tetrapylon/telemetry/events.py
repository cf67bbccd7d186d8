"""What the gateway tells its operator, one line an event: standard error, a file or syslog (leaf)."""

import os
import select
import stat
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

Level = Literal["info", "warning", "error"]
Format = Literal["text", "json"]

STDERR = 2
WINDOW = 60.0
"""Seconds over which the lines of one kind are counted."""
MOST_KINDS = 256
LONGEST_KIND = 200
DIGITS = str.maketrans("0123456789", "##########")
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) != "\t"}
"""What a terminal may take for an order; some of what is told others have said."""
END_OF_LINE = 100
"""Milliseconds that the rest of a line longer than PIPE_BUF may wait for who reads the pipe."""


class Syslog(Protocol):
    def send(self, severity: Level, text: bytes) -> None: ...
    def close(self) -> None: ...


def line(text: str) -> None:
    """Writes a line to standard error in one system call, so that lines of several processes never mix.

    Standard error may be a full disk or a closed pipe: what cannot be told must not stop the gateway.
    """
    _write(STDERR, text.encode("utf-8", "backslashreplace") + b"\n")


def say(level: Level, text: str, *, error: BaseException | None = None, **fields: object) -> None:
    """An event: `2026-01-31T12:00:00.123Z warning worker 0 (pid 4711) ...`, or one JSON object.

    `error` is told with where it was raised. `fields` are for programs: JSON has them, a sentence does not.
    Events of one kind (the same level and text, numbers aside) that come too often are counted instead.
    """
    _events.say(level, text, error, fields)


def pass_on(level: Level, text: str, **fields: object) -> None:
    """As `say`, of what another program says: none is counted instead, that is for who passes it on."""
    _events.pass_on(level, text, fields)


def configure(
    format: Format = "text", path: str = "-", per_minute: int = 20, syslog: Syslog | None = None
) -> None:
    """How and where events go from now on, in this process and those that it forks.

    `path` is a file, or `-` for standard error; `syslog` takes its place. Raises OSError for a file that
    cannot be opened; all then stays as it was.
    """
    global _events
    made = _Events(format, path, per_minute, syslog)
    _events.close()
    _events = made


def reopen() -> None:
    """Opens the file anew by its name, after it was moved; keeps the old one if that fails, and says so."""
    _events.reopen()


def tick() -> None:
    """Tells how many events were suppressed, once their minute is over; to be called every second or so."""
    _events.tick()


class _Kind:
    """Events that differ in their numbers alone."""

    __slots__ = ("began", "count", "level", "suppressed", "text")

    def __init__(self, began: float, level: Level, text: str) -> None:
        self.began = began
        self.level = level
        self.text = text
        self.count = 0
        self.suppressed = 0


class _Events:
    def __init__(
        self,
        format: Format,
        path: str,
        per_minute: int,
        syslog: Syslog | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._json = format == "json"
        self._path = path
        self._per_minute = per_minute
        self._syslog = syslog
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self._lost = 0
        self._cut = False
        """The last line has no end."""
        self._descriptor = STDERR if path == "-" or syslog is not None else _open(path)

    def say(self, level: Level, text: str, error: BaseException | None, fields: dict[str, object]) -> None:
        now = self._clock()
        key = f"{level} {text[:LONGEST_KIND].translate(DIGITS)}"
        kind = self._kinds.get(key)
        if kind is None or now - kind.began >= WINDOW:
            if kind is not None:
                self._tell_suppressed(kind)
            self._make_room()
            kind = self._kinds[key] = _Kind(now, level, text)
        kind.count += 1
        if kind.count > self._per_minute:
            kind.suppressed += 1
            return
        self._tell(level, text, error, fields)

    def pass_on(self, level: Level, text: str, fields: dict[str, object]) -> None:
        self._tell(level, text, None, fields)

    def tick(self) -> None:
        now = self._clock()
        for key, kind in list(self._kinds.items()):
            if now - kind.began >= WINDOW:
                del self._kinds[key]
                self._tell_suppressed(kind)

    def _make_room(self) -> None:
        while len(self._kinds) >= MOST_KINDS:
            self._tell_suppressed(self._kinds.pop(next(iter(self._kinds))))

    def _tell_suppressed(self, kind: _Kind) -> None:
        if kind.suppressed:
            count, kind.suppressed = kind.suppressed, 0
            self._tell(kind.level, f"{count} more like this: {kind.text}", None, {"suppressed": count})

    def _tell(self, level: Level, text: str, error: BaseException | None, fields: dict[str, Any]) -> None:
        now = time.time()
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
        if self._json:
            import json

            told: dict[str, Any] = {
                "time": stamp,
                "level": level,
                "pid": os.getpid(),
                "message": text,
                **fields,
            }
            if error is not None:
                told["error"] = {"type": type(error).__name__, "text": str(error), "at": _frames(error)}
            body = json.dumps(told, default=str)
        else:
            sentence = text if error is None else f"{text}: {_in_words(error)}"
            body = " | ".join(sentence.splitlines()).translate(CONTROLS) or "-"
            body = body if self._syslog is not None else f"{stamp} {level} {body}"
        self._put(level, body.encode("utf-8", "backslashreplace"))

    def _put(self, level: Level, data: bytes) -> None:
        if self._lost:
            lost, before = self._lost, self._lost
            self._lost = 0
            self._tell("warning", f"{lost} events before this one could not be written", None, {"lost": lost})
            if self._lost:
                self._lost += before
                return
        if self._syslog is not None:
            try:
                self._syslog.send(level, data)
            except OSError:
                self._lost += 1
            return
        data = (b"\n" if self._cut else b"") + data + b"\n"
        written = _write(self._descriptor, data)
        if written < len(data):
            self._lost += 1
        self._cut = written < len(data) if written else self._cut

    def reopen(self) -> None:
        if self._descriptor == STDERR:
            return
        try:
            fresh = _open(self._path)
        except OSError as error:
            self.say(
                "error", f"{self._path} cannot be opened anew: {error.strerror}; the old one stays", None, {}
            )
            return
        os.close(self._descriptor)
        self._descriptor = fresh

    def close(self) -> None:
        for kind in self._kinds.values():
            self._tell_suppressed(kind)
        if self._descriptor != STDERR:
            os.close(self._descriptor)
        if self._syslog is not None:
            self._syslog.close()


def _open(path: str) -> int:
    return os.open(
        path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK, 0o644
    )


def _write(descriptor: int, data: bytes) -> int:
    """How much of it was written. Who has stopped reading a pipe or a terminal is not waited for: whoever
    writes has requests to serve, or processes to look after."""
    written = 0
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.write(descriptor, data)
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        # Where a pipe can be written, it takes so much without waiting, and in one piece (pipe(7)).
        while written < len(data) and poll.poll(END_OF_LINE if written else 0):
            written += os.write(descriptor, data[written : written + select.PIPE_BUF])
    except OSError:
        pass
    return written


def _frames(error: BaseException) -> list[str]:
    """The innermost first: `shop/policies.py:12 in load`."""
    found = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        found.append(f"{code.co_filename}:{traceback.tb_lineno} in {code.co_name}")
        traceback = traceback.tb_next
    return found[::-1]


def _in_words(error: BaseException) -> str:
    frames = " < ".join(_frames(error))
    return f"{type(error).__name__}: {error}" + (f" ({frames})" if frames else "")


_events = _Events("text", "-", 20, None)
