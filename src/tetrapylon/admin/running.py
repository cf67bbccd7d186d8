"""What the admin address tells of the config in force, and how it is changed from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tetrapylon.admin.answer import Answer, Asked, Endpoint, json, problem

if TYPE_CHECKING:
    from tetrapylon.config.explain import Request
    from tetrapylon.config.model import Config
    from tetrapylon.control.link import Link

CHANGE = ("POST",)


def endpoints(link: Link) -> dict[str, Endpoint]:
    running = Running(link)
    return {
        "/config": Endpoint(
            "the config in force, as a file would have it, its secrets masked", running.config
        ),
        "/routes": Endpoint("its routes, each with the place it stands at", running.routes),
        "/explain": Endpoint(
            "which route a request takes, and why: ?method=GET&url=/path&header=Name:value, of several"
            " header fields one a line",
            running.explain,
        ),
        "/apps": Endpoint("the hosted apps: their processes, and how the last one ended", running.apps),
        "/history": Endpoint("the last configs that were in force, and the last reload", running.history),
        "/reload": Endpoint(
            "POST: read the config again; ?dry_run=1 tells what would change",
            running.reload,
            CHANGE,
            ("dry_run",),
        ),
        "/cache": Endpoint(
            "DELETE or POST: forget stored answers, in all workers, by ?path=, ?prefix= or ?tag=",
            running.purge,
            ("POST", "DELETE"),
            ("path", "prefix", "tag"),
        ),
        "/rollback": Endpoint(
            "POST: go back to the config before, or to ?generation=N of the history; ?dry_run=1",
            running.rollback,
            CHANGE,
            ("generation", "dry_run"),
        ),
    }


class Running:
    """The answers. What they show of the config is read when it is asked for, and not kept."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def config(self, asked: Asked) -> Answer:
        from tetrapylon.config.mask import masked

        return json(masked(self._config()))

    def routes(self, asked: Asked) -> Answer:
        from tetrapylon.config.mask import masked

        config = self._config()
        shown = masked(config).get("routes", [])
        return json([{**each, "at": route.at} for each, route in zip(shown, config.routes, strict=True)])

    def explain(self, asked: Asked) -> Answer:
        from tetrapylon.config.explain import explain

        try:
            return json(explain(self._config(), _request(asked.query)))
        except ValueError as error:
            return problem(400, f"of this no request can be made: {error}")

    def apps(self, asked: Asked) -> Answer:
        return json(self._link.apps)

    def history(self, asked: Asked) -> Answer:
        return json(self._link.news)

    async def reload(self, asked: Asked) -> Answer:
        return await self._order("POST /reload", asked.query)

    async def rollback(self, asked: Asked) -> Answer:
        text = asked.query.get("generation")
        past = [each["generation"] for each in self._link.news["history"]]
        if text is None:
            if len(past) < 2:
                return problem(409, "there is no earlier config in the history")
            back = past[-2]
        elif text.isascii() and text.isdigit():
            back = int(text)
        else:
            return problem(400, f"?generation={text}: expected a number; GET /history lists those there are")
        return await self._order(f"rollback to {back}", asked.query, back)

    async def purge(self, asked: Asked) -> Answer:
        query = asked.query
        if len(query) != 1:
            return problem(400, "expected one of ?path=/a, ?prefix=/a/ and ?tag=NAME; ?prefix=/ means all")
        ((how, what),) = query.items()
        if not what or (how != "tag" and not what.startswith("/")):
            return problem(400, f"?{how}={what}: expected {'a tag' if how == 'tag' else 'a path from /'}")
        from tetrapylon.stores.redis_answers import purge

        try:
            silent = await purge(self._config(), how, what)
            purged, all_told = await self._link.purge(how, what)
        except ConnectionError as error:
            return problem(503, str(error))
        if silent:
            told = f"Redis {', '.join(silent)} has not been told; other machines may hold what was to go"
            return problem(503, told, purged=purged)
        if not all_told:
            return problem(504, "a worker has not answered; it may still hold what was to go", purged=purged)
        return json({"purged": purged})

    async def _order(self, origin: str, query: Mapping[str, str], back: int | None = None) -> Answer:
        dry_run = query.get("dry_run", "0")
        if dry_run not in ("0", "1"):
            return problem(400, f"?dry_run={dry_run}: expected 0 or 1")
        try:
            outcome = await self._link.reload(origin, dry_run=dry_run == "1", back=back)
        except ConnectionError as error:
            return problem(503, str(error))
        if outcome["outcome"] == "refused":
            problems = outcome["problems"]
            return problem(422, "; ".join(each["text"] for each in problems), **outcome)
        return json(outcome)

    def _config(self) -> Config:
        from tetrapylon.config import decode

        return decode(self._link.config)


def _request(query: Mapping[str, str]) -> Request:
    """Raises ValueError."""
    from tetrapylon.config.explain import request

    url = query.get("url", "")
    if not url:
        raise ValueError("?url= is missing; ask for ?method=GET&url=/path")
    headers = {}
    for line in filter(None, query.get("header", "").split("\n")):
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"?header={name}: expected NAME:VALUE")
        headers[name.strip()] = value.strip()
    return request(query.get("method", "GET"), url, headers)
