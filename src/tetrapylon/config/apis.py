"""The routes that OpenAPI documents say, put among those of the config."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from tetrapylon.config.model import Api, Config, PolicyUse, Route
from tetrapylon.config.shape import FAILED
from tetrapylon.config.tree import Path, Report

__all__ = ["with_apis"]

PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")


def with_apis(config: Config, report: Report) -> Config:
    """The config with the routes of its `apis`. What cannot be read goes to the report."""
    if not config.apis:
        return config
    made: list[Route] = []
    for index, api in enumerate(config.apis):
        if api is FAILED or report.touched(("apis", index)):
            continue
        if PREFIX.fullmatch(api.prefix) is None:
            path: Path = ("apis", index, "prefix")
            report.add(path, f"{api.prefix!r} goes before no path", "expected one such as /shop")
            continue
        try:
            made += _routes(api)
        except ValueError as error:
            report.add_error(("apis", index, "openapi"), error)
    return msgspec.structs.replace(config, routes=(*config.routes, *made), apis=())


def _routes(api: Api) -> Iterator[Route]:
    from tetrapylon import catalog
    from tetrapylon.config.policies import plain
    from tetrapylon.messages.openapi_import import operations

    kind = catalog.policy("validate")
    for each in operations(api.openapi):
        settings = kind.Settings(
            **each.settings, answers=api.answers if each.settings["responses"] else "pass"
        )
        use = PolicyUse(use="validate", settings=plain(settings))
        needless = settings == kind.Settings()
        yield Route(
            path=api.prefix + each.path,
            methods=(each.method,),
            host=api.host,
            upstream=api.upstream,
            rewrite=each.path if api.prefix else None,
            policies=api.policies if needless else (*api.policies, use),
            limits=api.limits,
            timeouts=api.timeouts,
            at=f"{api.openapi}: {each.method} {each.path}",
        )
