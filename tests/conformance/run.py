"""One case against one proxy: both ends played, and what they saw judged."""

import contextlib
import itertools

from tests.conformance.case import Case, Finish, Seen
from tests.conformance.origin import Origin, Trial, send
from tests.harness import net
from tests.harness.wire import Reader, Response, Truncated, WireError

PATIENCE = 3.0
AFTER = b"GET /after HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
PROBES = 2
_serial = itertools.count()


def perform(
    case: Case, address: str, origin: Origin, *, split: bool = False, patience: float = PATIENCE
) -> Seen:
    """Plays the case; what both ends saw of it."""
    trial = Trial(case, split=split, patience=patience)
    origin.trial = trial
    converse(case, address, trial)
    trial.gate.set()
    # A connection that a proxy has given up is closed at once; one in its pool stays open.
    seen = trial.seen
    if case.expect.waits and not seen.dropped and case.expect(seen) is not None:
        wait_dropped(trial)
    probe(address, seen, patience)
    return seen


def wait_dropped(trial: Trial) -> None:
    trial.seen.dropped = bool(trial.served) and all(ended.wait(trial.patience) for ended in trial.served)


def converse(case: Case, address: str, trial: Trial) -> None:
    seen = trial.seen
    with net.connect(address, timeout=trial.patience) as sock:
        reader = Reader(sock, record=False)
        with contextlib.suppress(ConnectionError):  # refused before the last byte
            send(sock, case.says, trial.split)
            if case.finish is Finish.AFTER:
                sock.sendall(AFTER)
            elif case.finish is Finish.HALF_CLOSE:
                net.half_close(sock)
        if case.finish is Finish.LEAVE:
            net.reset(sock)
            seen.closed = True
            return
        try:
            listen(case, reader, trial)
        except TimeoutError:
            seen.hung = True
        except ConnectionResetError:
            seen.reset = seen.closed = True


def listen(case: Case, reader: Reader, trial: Trial) -> None:
    """Reads answers until the connection ends, /after is answered, or all are there."""
    seen = trial.seen
    while not reader.at_end():
        try:
            response = reader.response(case.method(len(seen.answers)))
        except Truncated as error:
            seen.cut, seen.closed = str(error), True
            return
        except WireError as error:
            seen.garbled = str(error)
            return
        if is_plain(response, "after"):
            seen.after = True
            return
        seen.answers.append(response)
        if response.status == 101:
            seen.surplus = reader.until_eof()
            break
        if len(seen.answers) < max(1, len(case.methods)):
            continue
        if len(seen.answers) > max(1, len(case.methods)):
            return  # that was for /after
        if case.finish is Finish.ANSWERS:
            trial.gate.set()
            return
        if case.finish is Finish.LATER and not trial.gate.is_set():
            trial.gate.set()
            wait_dropped(trial)
            reader.sock.sendall(AFTER)
    seen.closed = True


def is_plain(response: Response, name: str) -> bool:
    return response.status == 200 and response.headers.all("X-Plain") == [name]


def probe(address: str, seen: Seen, patience: float) -> None:
    """Another client, on the same pool: it must get its own answers and nothing else."""
    with net.connect(address, timeout=patience) as sock:
        reader = Reader(sock, record=False)
        for _ in range(PROBES):
            name = f"probe{next(_serial)}"
            try:
                sock.sendall(f"GET /{name} HTTP/1.1\r\nHost: gateway.test\r\n\r\n".encode())
                response = reader.response()
            except (WireError, OSError) as error:
                seen.strangers.append(f"{type(error).__name__}: {error}")
                return
            if not is_plain(response, name) or response.body != b"this is " + name.encode():
                seen.strangers.append(f"{response.status} {list(response.headers)} {response.body[:100]!r}")


def invariants(seen: Seen, *, hidden: bool = True) -> str | None:
    """What holds in every case; `hidden`: what hides behind a message must not come out."""
    if seen.violations:
        return f"the upstream got what is not HTTP/1.1: {seen.violations}"
    if hidden and seen.hidden:
        return "a hidden request reached the upstream"
    if seen.strangers:
        return f"another client got {seen.strangers}"
    if seen.garbled is not None:
        return f"the client got what is not HTTP/1.1: {seen.garbled}"
    if seen.hung:
        return "no answer and no end"
    return None


def judge(case: Case, seen: Seen) -> str | None:
    """None if all is well, else what is not."""
    return invariants(seen) or case.expect(seen)


def lenient(case: Case, seen: Seen) -> bool:
    """Is it what the RFC allows, although not what the case asks for?"""
    return case.may is not None and invariants(seen, hidden=False) is None and case.may(seen) is None
