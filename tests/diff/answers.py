"""What an old service and a new one answer, from a document and from what is done to it."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from random import Random
from typing import Any

from .dialects import DIALECTS, JSON, Dialect, Form, Headers, fill, hexed, now, written

Edit = Callable[[JSON], JSON]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """What three requests were answered, and the settings of `shadow` they are compared with."""

    name: str
    first: Answer
    again: Answer
    other: Answer
    config: dict[str, Any] = field(default_factory=dict)


# What can be done to an answer.


def find(document: JSON, path: str) -> tuple[JSON, Any]:
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        document = document[part]
    return document, last


def on(path: str, change: Callable[[JSON], JSON]) -> Edit:
    def edit(document: JSON) -> JSON:
        place, name = find(document, path)
        place[name] = change(place[name])
        return document

    return edit


def put(path: str, value: JSON) -> Edit:
    def edit(document: JSON) -> JSON:
        place, name = find(document, path)
        place[name] = value
        return document

    return edit


def drop(path: str) -> Edit:
    def edit(document: JSON) -> JSON:
        place, name = find(document, path)
        del place[name]
        return document

    return edit


def named(path: str, new: str) -> Edit:
    def edit(document: JSON) -> JSON:
        place, name = find(document, path)
        place[new] = place.pop(name)
        return document

    return edit


def both(*edits: Edit) -> Edit:
    def edit(document: JSON) -> JSON:
        for each in edits:
            document = each(document)
        return document

    return edit


def same(document: JSON) -> JSON:
    return document


def moved(index: int, to: int) -> Callable[[JSON], JSON]:
    def change(items: JSON) -> JSON:
        items.insert(to, items.pop(index))
        return items

    return change


def answers(
    name: str, make: Callable[[Random, int], tuple[int, Headers, bytes]]
) -> tuple[Answer, Answer, Answer]:
    def answer(n: int) -> Answer:
        status, headers, body = make(Random(f"{name}/{n}"), n)
        date = format_datetime(now(n), usegmt=True)
        own = [
            ("Date", date),
            ("X-Request-Id", hexed(20)(Random(f"{name} {n}"), n)),
            ("Content-Length", str(len(body))),
        ]
        return Answer(status, [*headers, *own], body)

    return answer(0), answer(1), answer(2)


def dialects(name: str) -> tuple[Dialect, Dialect]:
    old, new = Random(name).sample(list(DIALECTS.values()), 2)
    return old, new


def of_json(
    name: str,
    document: Form,
    other: Edit = same,
    old: Edit = same,
    status: int = 200,
    kind: str = "",
    **config: Any,
) -> Case:
    speaks, new = dialects(name)

    def make(chance: Random, n: int) -> tuple[int, Headers, bytes]:
        to = new if n == 2 else speaks
        value = copy.deepcopy(document(chance, n))
        value = other(old(value)) if n == 2 else old(value)
        return status, [*to.server, ("Content-Type", kind or to.kind)], (written(value, to) + to.end).encode()

    return Case(name, *answers(name, make), config)


def of_text(name: str, kind: str, old: str | bytes, new: str | bytes, **config: Any) -> Case:
    """Text whose {forms} are filled anew each time, or bytes as they are."""

    def make(chance: Random, n: int) -> tuple[int, Headers, bytes]:
        body = new if n == 2 else old
        return (
            200,
            [("Content-Type", kind)],
            fill(body, chance, n).encode() if isinstance(body, str) else body,
        )

    return Case(name, *answers(name, make), config)


def of_headers(name: str, old: str, new: str, status: int | tuple[int, int] = 200, **config: Any) -> Case:
    """One JSON body under fields, one a line, whose {forms} are filled anew each time."""
    before, after = dialects(name)
    statuses = (status, status) if isinstance(status, int) else status

    def make(chance: Random, n: int) -> tuple[int, Headers, bytes]:
        lines = (
            fill(line, chance, n).partition(":") for line in (new if n == 2 else old).splitlines() if line
        )
        headers = [(field, value.strip()) for field, _, value in lines]
        to = after if n == 2 else before
        if not any(field.lower() == "content-type" for field, _ in headers):
            headers.insert(0, ("Content-Type", to.kind))
        code = statuses[n == 2]
        body = b"" if code in (204, 304) else (written({"id": 4711, "ok": True}, to) + to.end).encode()
        return code, [*to.server, *headers], body

    return Case(name, *answers(name, make), config)


def packed(case: Case, pack: Callable[[bytes], bytes], coding: str = "gzip", which: str = "other") -> Case:
    def change(answer: Answer) -> Answer:
        body = pack(answer.body)
        headers = [
            (name, str(len(body)) if name == "Content-Length" else value) for name, value in answer.headers
        ]
        return Answer(answer.status, [*headers, *([("Content-Encoding", coding)] if coding else [])], body)

    parts = {part: getattr(case, part) for part in ("first", "again", "other")}
    parts |= {part: change(parts[part]) for part in which.split()}
    return Case(case.name, parts["first"], parts["again"], parts["other"], case.config)


def wrong(
    case: Case, status: int | None = None, body: Callable[[bytes], bytes] = lambda body: body, kind: str = ""
) -> Case:
    """The new service's answer, spoilt after it was written."""
    headers = [
        (name, kind if kind and name.lower() == "content-type" else value)
        for name, value in case.other.headers
    ]
    other = Answer(status or case.other.status, headers, body(case.other.body))
    return Case(case.name, case.first, case.again, other, case.config)
