"""Was what the gateway said right? Both functions for answers return what is wrong, and how, or None."""

from collections import Counter

import h11
import httptools

from tests.fuzz.cases import RequestCase, ResponseCase
from tests.fuzz.reference import Said, Told, end_to_end, options
from tests.harness.wire import Headers, RequestHead, Response, ResponseHead, Truncated, WireError

Wrong = tuple[str, str] | None
# What the gateway may say itself when its upstream does nothing wrong.
REFUSALS = {400, 404, 405, 413, 414, 417, 431, 501, 505}
FAILURES = {502}


class Cut(Exception):
    """The connection ended within an answer, of which this much had come."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer


def read_answer(reader: Said, method: str) -> Response:
    """Raises WireError for what no client could read, Cut for an end within a body."""
    interim: list[ResponseHead] = []
    head = reader.response_head()
    while head.status < 200 and head.status != 101:
        interim.append(head)
        head = reader.response_head()
    answer = Response(head, b"", Headers(), interim)
    body = bytearray()
    try:
        for piece in reader.response_body(head, method):
            body += piece
    except Truncated as end:
        answer.body = bytes(body)
        raise Cut(answer) from end
    answer.body, answer.trailers = bytes(body), reader.trailers
    return answer


def own(answer: Response) -> bool:
    """Did the gateway make it?"""
    return answer.headers.has("Proxy-Status") or (answer.status == 204 and answer.headers.has("Allow"))


def requests(case: RequestCase, said: bytes, seen: Counter[str]) -> Wrong:
    """The answers that came to a client, held against what it asked."""
    reader = Said(said)
    closed = False
    for index, meant in enumerate(case.meant):
        key = f"{case.name}.{index}"
        must = index < case.right and meant.whole and meant.forwarded is not None
        if not reader.left:
            if must and not closed:
                return "unanswered", f"{key} was right and got no answer; {case.mutations[index]}"
            if meant.whole and not closed:
                return "unanswered", f"{key} got neither answer nor refusal"
            return None
        if closed and case.meant[index - 1].head.method == "HEAD":
            return None  # refused before its method was known: the connection ends behind it
        if closed:
            return "surplus", f"{reader.buffered()!r} came after the last answer"
        try:
            answer = read_answer(reader, meant.head.method)
        except (Cut, WireError) as error:
            if not meant.whole and meant.head.method != "HEAD":
                return None
            if isinstance(error, Cut) and own(error.answer) and meant.head.method.startswith("HEAD"):
                return None  # a method that only begins like HEAD was refused as far as it was read
            return "garbage", f"{key} was answered with what no client can read: {error!r} {said!r}"
        closed = "close" in options(answer.headers) or (
            not meant.head.minor and "keep-alive" not in options(answer.headers)
        )
        keys = answer.headers.get("X-Key")
        if keys is not None:
            if key not in keys.split() or answer.status != 200:
                return "crossed", f"{key} got the answer to {keys}"
            if not meant.whole:
                return "smuggled", f"{key} was answered without being whole"
            if meant.head.method != "HEAD" and answer.body != keys.encode():
                return "crossed", f"{key} got the body {answer.body!r}"
            seen["answered"] += 1
        elif not own(answer) or answer.status not in REFUSALS | {204, 508}:
            return "answer", f"{key} was answered {answer.status} by {said!r}"
        elif must:
            return "refused", f"{key} was right and got {answer.status}; {case.mutations[index]}"
        else:
            seen[f"refused {answer.status}"] += 1
    if not reader.left:
        # Without the end of its head, the client has gone away within one.
        if case.rest == "malformed" and not closed and b"\r\n\r\n" in case.last:
            return "unanswered", f"the malformed {case.last[:200]!r} was not refused"
        return None
    if closed and case.meant[-1].head.method == "HEAD":
        return None
    if case.rest not in ("malformed", "truncated") or not case.last or closed:
        return "surplus", f"{reader.buffered()!r} came after the last answer; {case.rest}"
    try:
        answer = read_answer(reader, "HEAD" if case.last.startswith(b"HEAD") else "GET")
    except (Cut, WireError) as error:
        return "garbage", f"the refusal is not readable: {error!r} {said!r}"
    if answer.headers.has("X-Key") or not own(answer) or answer.status not in REFUSALS:
        return "smuggled", f"{case.last!r} was answered {answer.status}"
    seen[f"refused {answer.status}"] += 1
    if reader.left and not case.last.startswith(b"HEAD"):
        return "surplus", f"{reader.buffered()!r} came after the refusal"
    return None


def second_opinions(raw: bytes, head: RequestHead, body: bytes) -> None:
    """Do h11 and httptools read what an upstream received as the strict reader does? Raises WireError."""
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in head.headers]
    start = head.method.encode(), head.target.encode("latin-1")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(raw)
    got = bytearray()
    try:
        event = connection.next_event()
        if not isinstance(event, h11.Request) or (event.method, event.target) != start:
            raise WireError(f"h11 reads {event}")
        if [(name, _plain(name, value)) for name, value in event.headers] != [
            (name, _plain(name, value)) for name, value in fields
        ]:
            raise WireError(f"h11 reads the fields {event.headers}")
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise WireError(f"h11 waits for more: {event}")
            got += event.data
    except h11.RemoteProtocolError as error:
        raise WireError(f"h11 says {error}") from error
    if bytes(got) != body or connection.trailing_data[0]:
        raise WireError(f"h11 reads the body {bytes(got)!r}")
    told = Told2()
    parser = httptools.HttpRequestParser(told)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        body = b""  # another protocol was offered: httptools reads the head alone
    except httptools.HttpParserError as error:
        raise WireError(f"httptools says {error}") from error
    if told.ended != 1 or told.url != start[1] or parser.get_method() != start[0] or bytes(told.body) != body:
        raise WireError(f"httptools reads {parser.get_method()!r} {told.url!r} {bytes(told.body)!r}")
    if told.fields[: len(fields)] != fields:
        raise WireError(f"httptools reads the fields {told.fields}")


def _plain(name: bytes, value: bytes) -> bytes:
    return value.lower() if name == b"transfer-encoding" else value


class Told2:
    """What httptools calls back."""

    def __init__(self) -> None:
        self.url = b""
        self.body = bytearray()
        self.fields: list[tuple[bytes, bytes]] = []
        self.ended = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), (value or b"").rstrip(b" \t")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ended += 1


def responses(case: ResponseCase, said: bytes, seen: Counter[str]) -> Wrong:
    """What came to a client, held against what the upstream said to that client's requests."""
    reader = Said(said)
    for index, (asked, told) in enumerate(zip(case.asked, case.told, strict=True)):
        key = f"{case.name}.{index}"
        cut = False
        try:
            answer = read_answer(reader, asked.method)
        except Cut as end:
            answer, cut = end.answer, True
        except WireError as error:
            return "garbage", f"{key} was answered with what no client can read: {error!r} {said!r}"
        if own(answer) and not cut:
            if answer.status not in FAILURES:
                return "answer", f"{key} got {answer.status}"
            if asked.must:
                return "refused", f"{key} was right and became {answer.status}; {asked.mutations}"
            seen["failed"] += 1
        else:
            wrong = compare(key, asked.minor, answer, told, cut)
            if wrong is not None:
                return wrong
            if asked.must and (cut or (told.answer is not None and answer.body != told.answer.body)):
                return "refused", f"{key} was right and was cut; {asked.mutations}"
            seen["cut" if cut else "passed"] += 1
            if answer.status == 101:
                if not asked.upgrade:
                    return "crossed", f"{key} did not ask for another protocol"
                return None
        if cut or "close" in options(answer.headers) or not asked.minor:
            break
    if reader.left:
        return "surplus", f"{reader.buffered()!r} came after the last answer"
    if (
        not cut
        and index + 1 < len(case.asked)
        and not ("close" in options(answer.headers) or not asked.minor)
    ):
        return "unanswered", f"{case.name}.{index + 1} got no answer"
    return None


def compare(key: str, minor: int, answer: Response, told: Told, cut: bool) -> Wrong:
    want = told.answer
    if want is None:
        return "crossed", f"{key} got {answer} from an upstream that said none"
    if answer.status != want.status or (want.head.reason and answer.head.reason != want.head.reason):
        return (
            "crossed",
            f"{key} got {answer.status} {answer.head.reason}, not {want.status} {want.head.reason}",
        )
    fields = [end_to_end(one.headers, "content-length", "via", "date") for one in (answer, want)]
    if fields[0] != fields[1]:
        return "crossed", f"{key} got the fields {fields[0]}, not {fields[1]}"
    if minor and [one.status for one in answer.interim] != [one.status for one in want.interim]:
        return "crossed", f"{key} got the interim responses {answer.interim}"
    # A client of HTTP/1.0 may be answered up to the end of the connection, and a Unix socket knows no reset.
    if cut or not minor:
        shorter, longer = sorted((answer.body, want.body), key=len)
        return None if longer.startswith(shorter) else ("crossed", f"{key} got the part {answer.body!r}")
    if not told.whole:
        return "smuggled", f"{key} got a whole answer from one that was not"
    if answer.body != want.body:
        return "crossed", f"{key} got the body {answer.body!r}, not {want.body!r}"
    if minor and answer.trailers != want.trailers:
        return "crossed", f"{key} got the trailers {answer.trailers}, not {want.trailers}"
    return None
