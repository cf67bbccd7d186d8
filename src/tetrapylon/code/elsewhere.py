"""User code in processes of its own, for what blocks and holds the interpreter: `run_in: process`.

A call goes by pickle: what it is called with is copied there, and what it made comes back. A plugin has a
copy of the request (and response), whose changes are applied to the exchange once it has returned. The
processes are started anew, not forked, for the worker has threads and connections; they end with it, whatever
became of it.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from tetrapylon.errors import HTTPError, TetrapylonError

__all__ = ["CopiedRequest", "CopiedResponse", "Fields", "Processes"]

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when the thread that started it ends."""


class Fields(MutableMapping[str, str]):
    """Header fields, or with `fold` false a query: a name may stand more than once."""

    def __init__(self, items: Iterable[tuple[str, str]], *, fold: bool = True) -> None:
        self._items = list(items)
        self._fold = fold

    def _same(self, one: str, other: object) -> bool:
        return one.lower() == other.lower() if self._fold and isinstance(other, str) else one == other

    def getall(self, name: str) -> list[str]:
        return [value for each, value in self._items if self._same(each, name)]

    def add(self, name: str, value: str) -> None:
        self._items.append((name, value))

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override] # as Headers
        return list(self._items)

    def __getitem__(self, name: str) -> str:
        found = self.getall(name)
        if not found:
            raise KeyError(name)
        return found[0]

    def __setitem__(self, name: str, value: str) -> None:
        self._items = [pair for pair in self._items if not self._same(pair[0], name)]
        self.add(name, value)

    def __delitem__(self, name: str) -> None:
        self[name]
        self._items = [pair for pair in self._items if not self._same(pair[0], name)]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() if self._fold else name for name, _ in self._items))

    def __len__(self) -> int:
        return len(list(iter(self)))


@dataclass
class CopiedRequest:
    """A `Request` in another process. Of what changes, its fields and its state come back."""

    method: str
    target: str
    sent_target: str
    path: str
    query: Fields
    headers: Fields
    cookies: dict[str, str]
    client: str
    scheme: str
    host: str
    route: str
    parameters: dict[str, str]
    state: dict[str, Any]
    body: bytes | None
    shared: dict[str, Any] = field(default_factory=dict)

    def json(self, type: Any = Any) -> Any:
        if self.body is None:
            raise ValueError("there is no body here to read")
        return msgspec.json.decode(self.body, type=type)


@dataclass
class CopiedResponse:
    """An upstream's `Response` in another process."""

    status: int
    headers: Fields
    body: bytes | str | None

    def json(self, type: Any = Any) -> Any:
        if self.body is None:
            raise ValueError("there is no body here to read")
        return msgspec.json.decode(self.body, type=type)


def copied_request(request: Any) -> CopiedRequest:
    return CopiedRequest(
        request.method,
        request.target,
        request.sent_target,
        request.path,
        Fields(request.query.items(), fold=False),
        Fields(request.headers.items()),
        request.cookies,
        request.client,
        request.scheme,
        request.host,
        request.route,
        request.parameters,
        dict(request.state),
        request.body,
    )


def apply_fields(fields: Any, before: Fields, after: Fields) -> None:
    """Writes to an exchange's fields what has changed in their copy."""
    for name in dict.fromkeys([*before, *after]):
        wanted = after.getall(name)
        if before.getall(name) == wanted:
            continue
        if name in fields:
            del fields[name]
        spelt = next((each for each, _ in after.items() if each.lower() == name), name)
        for value in wanted:
            fields.add(spelt, value)


@dataclass(frozen=True)
class Outcome:
    """What became of a call. `answer`: a new Response's content, status and fields."""

    result: Any = None
    answer: tuple[Any, int, list[tuple[str, str]]] | None = None
    refused: tuple[int, str, dict[str, str], list[dict[str, Any]]] | None = None
    raised: str | None = None
    request: CopiedRequest | None = None
    response: CopiedResponse | None = None


def settled(outcome: Outcome) -> Any:
    """What the function returned. Raises what it raised."""
    from tetrapylon._core.code.surface import Response

    if outcome.refused is not None:
        status, detail, headers, errors = outcome.refused
        raise HTTPError(status, detail, headers=headers, errors=errors)
    if outcome.raised is not None:
        raise TetrapylonError(f"in its own process:\n{outcome.raised}")
    if outcome.answer is not None:
        content, status, lines = outcome.answer
        return Response(content, status, headers=lines)
    return outcome.result


class Processes:
    """A worker's processes for user code; started when first needed, and again where one has died."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool: ProcessPoolExecutor | None = None

    def handler(self, reference: str) -> Callable[..., Any]:
        """The function that `reference` names, as a coroutine that waits for it."""

        async def elsewhere(*arguments: Any, **named: Any) -> Any:
            return settled(await self._call(call_function, reference, arguments, named))

        return elsewhere

    def hook(self, reference: str, settings: Any, name: str) -> Callable[..., Any]:
        """Likewise a plugin's plain hook."""

        async def elsewhere(request: Any, *more: Any) -> Any:
            copy = copied_request(request)
            response = more[0] if name in ("on_response_head", "on_response") else None
            given: tuple[Any, ...] = more
            if response is not None:
                given = (CopiedResponse(response.status, Fields(response.headers.items()), response.body),)
            outcome = await self._call(call_hook, reference, settings, name, copy, given)
            result = settled(outcome)
            if name == "on_end":
                return result
            if outcome.request is not None:
                apply_fields(request.headers, copy.headers, outcome.request.headers)
                for gone in copy.state.keys() - outcome.request.state.keys():
                    request.state.pop(gone, None)
                request.state.update(outcome.request.state)
            if response is not None and outcome.response is not None:
                before, after = given[0], outcome.response
                apply_fields(response.headers, before.headers, after.headers)
                if after.status != before.status:
                    response.status = after.status
                if after.body is not None and after.body != before.body:
                    response.body = after.body
            return result

        return elsewhere

    async def _call(self, function: Callable[..., Outcome], *arguments: Any) -> Outcome:
        pool = self._pool
        if pool is None:
            context = multiprocessing.get_context("spawn")
            count = max(2, os.cpu_count() or 1)
            pool = self._pool = ProcessPoolExecutor(
                count, context, initializer=begin, initargs=(os.getpid(),)
            )
        try:
            return await self._loop.run_in_executor(pool, function, *arguments)
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None
                pool.shutdown(wait=False)
            raise TetrapylonError("the process that it ran in has died") from error

    def close(self) -> None:
        if self._pool is None:
            return
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None
        for each in multiprocessing.active_children():
            each.terminate()


def begin(parent: int) -> None:
    """First in each process: it ends with the worker, and leaves the terminal's signals to it."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def call_function(reference: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Outcome:
    from tetrapylon.code.load import load_object

    return attempt(lambda: load_object(reference)(*arguments, **named))


def call_hook(
    reference: str, settings: Any, name: str, request: CopiedRequest, given: tuple[Any, ...]
) -> Outcome:
    outcome = attempt(
        lambda: getattr(instance(reference, msgspec.msgpack.encode(settings)), name)(request, *given)
    )
    response = given[0] if given and isinstance(given[0], CopiedResponse) else None
    if outcome.refused is not None or outcome.raised is not None:
        return outcome
    return Outcome(outcome.result, outcome.answer, request=request, response=response)


@lru_cache(maxsize=256)
def instance(reference: str, settings: bytes) -> Any:
    """This process's own of a plugin with these settings."""
    from tetrapylon.plugin import read_plugin

    kind = read_plugin(reference)
    return kind.make(msgspec.convert(msgspec.msgpack.decode(settings), kind.settings))


def attempt(call: Callable[[], Any]) -> Outcome:
    """What comes of it, as what can be pickled whatever it is."""
    from tetrapylon._core.code.surface import Response

    try:
        result = call()
        if isinstance(result, Response):
            return Outcome(answer=(result.body, result.status, result.headers.items()))
        return Outcome(result)
    except HTTPError as error:
        return Outcome(refused=(error.status, error.detail, error.headers, error.errors))
    except Exception as error:  # noqa: BLE001 - told where it is raised anew
        return Outcome(raised="".join(traceback.format_exception(error)).rstrip())
