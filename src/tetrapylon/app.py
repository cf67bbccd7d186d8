"""The gateway as a library: handlers under decorators, beside whatever a config says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, SimpleNamespace
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import msgspec

from tetrapylon.config.model import (
    Config,
    Docs,
    HandlerUse,
    PolicyUse,
    Route,
    RouteLimits,
    RouteTimeouts,
)

__all__ = ["Tetrapylon"]

F = TypeVar("F", bound=Callable[..., Any])


class RouteOptions(TypedDict, total=False):
    """What `Tetrapylon.route` takes beside path and methods."""

    host: str | None
    headers: Mapping[str, str]
    name: str | None
    policies: Sequence[PolicyUse]
    limits: RouteLimits
    timeouts: RouteTimeouts
    run_in: Literal["loop", "thread", "process"]


# Apps that no module has, as tests make them: `tetrapylon.app:apps.a140...`.
apps = SimpleNamespace()


class Tetrapylon:
    """An app of handlers: `tetrapylon run module:app` serves it.

    `config` is a Config, or the name of a file, whose routes and all else stay as they are; the handlers are
    added. `docs` says where the OpenAPI document and its page are served; None: nowhere, unless the config
    says.
    """

    def __init__(
        self,
        config: Config | str | None = None,
        *,
        lifespan: Callable[[dict[str, Any]], Any] | None = None,
        docs: Docs | None = Docs(),  # noqa: B008 - frozen
    ) -> None:
        self._config = config
        self._docs = docs
        self._routes: list[Route] = []
        self.lifespan = lifespan
        self.handlers = SimpleNamespace()
        """The functions by name, as the config refers to them."""
        self._name = f"a{id(self)}"

    def route(
        self,
        path: str,
        *,
        methods: Sequence[str] = ("GET",),
        host: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        name: str | None = None,
        policies: Sequence[PolicyUse] = (),
        limits: RouteLimits = RouteLimits(),  # noqa: B008 - frozen
        timeouts: RouteTimeouts = RouteTimeouts(),  # noqa: B008 - frozen
        run_in: Literal["loop", "thread", "process"] = "loop",
    ) -> Callable[[F], F]:
        """Makes the function the handler of a route; it stays what it is, and can be called as ever."""

        def add(function: F) -> F:
            known = self._known(function)
            self._routes.append(
                Route(
                    path=path,
                    methods=tuple(methods),
                    host=host,
                    headers=dict(headers),
                    name=name,
                    policies=tuple(policies),
                    limits=limits,
                    timeouts=timeouts,
                    handler=HandlerUse(call=known, run_in=run_in),
                )
            )
            return function

        return add

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        """As `route`, for GET and HEAD."""
        return self.route(path, methods=("GET",), **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        return self.route(path, methods=("POST",), **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        return self.route(path, methods=("PUT",), **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        return self.route(path, methods=("PATCH",), **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[F], F]:
        return self.route(path, methods=("DELETE",), **options)

    def config(self) -> Config:
        """The whole config, for `tetrapylon.embed` and tests: it refers to this very object."""
        setattr(apps, self._name, self)
        return self.__tetrapylon_config__(f"{__name__}:apps.{self._name}")

    def __tetrapylon_config__(self, source: str) -> Config:
        """The config of the app that is known as `source`, `module:attribute`. Raises ConfigError."""
        base = self._config
        if isinstance(base, str):
            from tetrapylon.config import load

            base = load(base)
        base = base or Config()
        routes = []
        for route in self._routes:
            assert route.handler is not None
            use = msgspec.structs.replace(route.handler, call=f"{source}.handlers.{route.handler.call}")
            routes.append(msgspec.structs.replace(route, handler=use))
        return msgspec.structs.replace(
            base,
            routes=(*base.routes, *routes),
            lifespan=f"{source}.lifespan" if self.lifespan is not None else base.lifespan,
            docs=base.docs or self._docs,
        )

    def _known(self, function: Callable[..., Any]) -> str:
        name = getattr(function, "__name__", "handler")
        name = name if name.isidentifier() else "handler"
        known, count = name, 2
        while getattr(self.handlers, known, function) is not function:
            known = f"{name}_{count}"
            count += 1
        setattr(self.handlers, known, function)
        return known
