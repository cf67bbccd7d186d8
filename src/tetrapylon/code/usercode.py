"""The user's own Python in one worker: handlers, plugins, what they share, and who is told of failures."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import convert

from tetrapylon._core.code.arguments import Argument
from tetrapylon._core.code.coroutine import Runner
from tetrapylon._core.code.guard import Work, holding
from tetrapylon._core.code.handler import Answerer, Handler
from tetrapylon._core.code.plugin import Plugin
from tetrapylon.code.load import load_object
from tetrapylon.config.model import HandlerUse, PluginOptions, PolicyUse
from tetrapylon.destinations.answers import fixed_answer
from tetrapylon.errors import LoadError, TetrapylonError
from tetrapylon.handler import Parameter, defaults_of, read_signature
from tetrapylon.plugin import both, in_thread, read_plugin
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon._core.reactor import Reactor
    from tetrapylon._core.telemetry.counters import Slab
    from tetrapylon.code.elsewhere import Processes

__all__ = ["LONGEST_STRETCH", "UserCode"]

LONGEST_STRETCH = 0.1
"""Seconds that user code may hold the loop at a stretch; longer is counted and told."""
WATCH_EVERY = 0.5
"""Seconds between two looks at what holds the loop now."""
TELL_EVERY = 1.0
"""Seconds between two lines about the same thing."""
THREADS = 32


class UserCode:
    """What the handlers and plugins of one gateway stand on. To be made in the process that runs the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, reactor: Reactor, slab: Slab | None) -> None:
        self.shared: dict[str, Any] = {}
        """What the lifespan provides: the handlers' and plugins' `request.shared`."""
        self.lifespan: str | None = None
        """The first that is entered lasts until the worker ends."""
        self._entered: str | None = None
        self._loop = loop
        self._reactor = reactor
        self._slab = slab
        self._runner = Runner(loop)
        self._answerer = Answerer(self._runner)
        self._plugins: dict[bytes, Plugin] = {}
        """By their settings: one that does not change lives on when the config does."""
        self._starting: dict[bytes, Any] = {}
        """Instances that are to be started."""
        self._exit = AsyncExitStack()
        self._threads: ThreadPoolExecutor | None = None
        self._processes: Processes | None = None
        self._told: dict[str, tuple[float, int]] = {}
        self._watch = _Watch(self._tell)

    @property
    def begins(self) -> bool:
        """Whether anything has to be started."""
        return (self.lifespan is not None and self._entered is None) or bool(self._starting)

    async def start(self) -> None:
        """Enters the lifespan and tells the plugins that are new.

        Raises TetrapylonError naming who could not begin; what had begun with it is ended again.
        """
        name = f"the lifespan {self.lifespan}"
        try:
            async with AsyncExitStack() as begun:
                if self.lifespan is not None and self._entered is None:
                    await begun.enter_async_context(load_object(self.lifespan)(self.shared))
                    self._entered = self.lifespan
                elif self.lifespan not in (None, self._entered):
                    say("warning", f"{name} takes the place of {self._entered} with new workers alone (USR2)")
                for key, instance in self._starting.items():
                    name = f"plugin {self._plugins[key].name}"
                    if hasattr(instance, "on_start"):
                        await _call(instance.on_start, self.shared)
                    if hasattr(instance, "on_stop"):
                        begun.push_async_callback(_call, instance.on_stop, self.shared)
                self._exit.push_async_exit(begun.pop_all())
        except Exception as error:
            for key in self._starting:
                del self._plugins[key]
            say("error", f"{name} could not start\n{''.join(traceback.format_exception(error)).rstrip()}")
            raise TetrapylonError(f"{name} could not start: {type(error).__name__}: {error}") from error
        finally:
            self._starting.clear()

    async def stop(self) -> None:
        """Everything in reverse; what fails is told, and the rest goes on."""
        try:
            await self._exit.aclose()
        except Exception as error:  # noqa: BLE001 - told, and the gateway ends all the same
            say("error", f"stopping raised\n{''.join(traceback.format_exception(error)).rstrip()}")

    def close(self) -> None:
        self._watch.stop()
        self._runner.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        if self._processes is not None:
            self._processes.close()

    def handler(self, use: HandlerUse, path_names: list[str], *, body_limit: int | None) -> Handler:
        """A route's destination. Raises LoadError."""
        signature = read_signature(load_object(use.call), path_names, use.call)
        positional = [each for each in signature.parameters if not each.by_name]
        by_name = [each for each in signature.parameters if each.by_name]
        function = signature.function
        if use.run_in == "thread":
            function = in_thread(function, self._in_thread)
        elif use.run_in == "process":
            function = self._elsewhere().handler(use.call)
        return Handler(
            use.call,
            function,
            [_argument(each) for each in (*positional, *by_name)],
            keywords=[each.name for each in by_name],
            answerer=self._answerer,
            work=self._work(f"handler {use.call}"),
            plain_json=signature.is_json,
            body_limit=2**62 if body_limit is None else body_limit,
            shared=self.shared,
        )

    def fake(self, name: str, function: Callable[..., Any]) -> Handler:
        """A function of the request and its body in place of an upstream."""
        return Handler(
            name,
            function,
            [Argument("request", "request", "type"), Argument("body", "body", "bytes")],
            answerer=self._answerer,
            work=self._work(f"upstream {name}"),
            body_limit=2**62,
            shared=self.shared,
        )

    def plugin(self, use: PolicyUse) -> Plugin:
        """A policy of a route; equal uses share one instance. Raises LoadError."""
        key = msgspec.msgpack.encode(use)
        if key in self._plugins:
            return self._plugins[key]
        kind = read_plugin(use.use)
        options = use.options or PluginOptions()
        try:
            instance = kind.make(convert(use.settings, kind.settings))
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{frame.filename}:{frame.lineno}"
            raise LoadError(f"making {use.use} raised {type(error).__name__}: {error}", "", where) from error
        hooks = {name: getattr(instance, name) for name in kind.hooks}
        waits = bool(kind.waits & {"on_response_head", "on_response"})
        if options.run_in == "thread":
            for name in hooks.keys() - kind.waits - {"on_start", "on_stop"}:
                hooks[name] = in_thread(hooks[name], self._in_thread)
            waits = True
        elif options.run_in == "process":
            hooks = {name: self._elsewhere().hook(use.use, use.settings, name) for name in hooks}
            waits = True
        head = hooks.get("on_response_head")
        made = Plugin(
            use.use,
            instance,
            answerer=self._answerer,
            reactor=self._reactor,
            work=self._work(f"plugin {use.use}"),
            shared=self.shared,
            on_request=hooks.get("on_request"),
            on_head=head,
            on_body=hooks.get("on_body"),
            on_response=both(head, hooks.get("on_response"), waits),
            on_end=hooks.get("on_end"),
            takes_body=kind.takes_body,
            open=options.on_error == "continue",
            fallback=None if options.fallback is None else fixed_answer(options.fallback),
            timeout=options.timeout,
            request_limit=options.body_limit,
            response_limit=options.body_limit,
        )
        self._plugins[key] = made
        if kind.hooks & {"on_start", "on_stop"}:
            self._starting[key] = instance
        return made

    def _elsewhere(self) -> Processes:
        if self._processes is None:
            from tetrapylon.code.elsewhere import Processes

            self._processes = Processes(self._loop)
        return self._processes

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "tetrapylon-code")
        return await self._loop.run_in_executor(self._threads, call)

    def _work(self, name: str) -> Work:
        self._watch.start()
        return Work(
            name, limit=LONGEST_STRETCH, told=self._tell_held, complains=self._tell_error, slab=self._slab
        )

    def _tell_held(self, work: Work, seconds: float) -> None:
        text = (
            f"{work.name} held the loop for {seconds * 1000:.0f} ms; all other requests of this worker waited"
        )
        self._tell(f"{work.name} held", "warning", lambda: text)

    def _tell_error(self, work: Work, error: BaseException) -> None:
        def text() -> str:
            return f"{work.name} raised\n{''.join(traceback.format_exception(error)).rstrip()}"

        self._tell(f"{work.name} raised {type(error).__name__}", "error", text)

    def _tell(self, key: str, level: Any, text: Callable[[], str]) -> None:
        """At most one line a second about the same thing; what was left out is counted in the next."""
        now = time.monotonic()
        last, left_out = self._told.get(key, (0.0, 0))
        if last and now - last < TELL_EVERY:
            self._told[key] = (last, left_out + 1)
            return
        self._told[key] = (now, 0)
        say(level, text() + (f" ({left_out} more since the last time)" if left_out else ""))


class _Watch:
    """A thread that looks now and then what holds the loop, so that even what never ends is named."""

    def __init__(self, tell: Callable[[str, Any, Callable[[], str]], None]) -> None:
        self._tell = tell
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop_thread = threading.get_ident()

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tetrapylon-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stopped.wait(WATCH_EVERY):
            held = holding()
            if held is None or held[1] < WATCH_EVERY:
                continue
            frame = sys._current_frames().get(self._loop_thread)
            stack = "".join(traceback.format_stack(frame)[-6:]).rstrip() if frame is not None else ""
            name, seconds = held
            text = f"{name} has held the loop for {seconds:.1f} s so far\n{stack}"
            self._tell(f"{name} holds", "warning", partial(str, text))


def _argument(each: Parameter) -> Argument:
    default, factory = defaults_of(each)
    return Argument(
        each.name,
        each.place,
        each.kind,
        key=each.key,
        index=each.index,
        type=each.type,
        many=each.many,
        required=each.required,
        default=default,
        factory=factory,
    )


async def _call(hook: Callable[[dict[str, Any]], Any], shared: dict[str, Any]) -> None:
    result = hook(shared)
    if inspect.isawaitable(result):
        await result
