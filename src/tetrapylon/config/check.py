"""The checks of meaning: what no single value can tell. All problems go to the report.

A config may come here with values that could not be read: those are at their default, or FAILED in a
list, and nothing is said of them twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from tetrapylon._core.route import RouteConflict, RouteError, Router
from tetrapylon.config import table
from tetrapylon.config.model import Config, ListenerTls, Redirect, Respond, Route, UpstreamTls
from tetrapylon.config.net import HostPort, UnixPath, listen_address
from tetrapylon.config.shape import FAILED, nearest
from tetrapylon.config.template import split
from tetrapylon.config.tree import Path, Report, render_path

__all__ = ["check"]

DESTINATIONS = ("upstream", "respond", "redirect")
# Of what a path may hold (RFC 3986, 3.3), with escapes complete.
PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
URI = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
WILDCARDS = {"0.0.0.0": False, "::": True}
# The gateway frames its answers itself (RFC 9112, 6) and owns its connections (RFC 9110, 7.6.1).
OWN_FIELDS = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OWN_REQUEST_FIELDS = frozenset(
    {"expect", "forwarded", "host", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
)
BODILESS = frozenset({204, 205, 304})
DEFAULT_TLS = ListenerTls(cert="", key="")


def check(config: Config, report: Report) -> None:
    """Looks at a config as a whole."""
    _addresses(config, report)
    _targets(config, report)
    _tls(config, report)
    _upstream_headers(config, report)
    _routes(config, report)
    _table(config, report)


def _addresses(config: Config, report: Report) -> None:
    taken: list[tuple[HostPort | UnixPath, Path]] = []
    for address, path in _listed(config):
        for other, where in taken:
            if _clash(address, other):
                report.add(path, f"{address} is taken by {render_path(where)} ({other})", "choose another")
                break
        taken.append((address, path))


def _listed(config: Config) -> Iterator[tuple[HostPort | UnixPath, Path]]:
    for index, listener in enumerate(config.server.listen):
        if listener is not FAILED and listener.address is not None:
            yield listen_address(listener.address), ("server", "listen", index)
    if config.admin is not None:
        yield listen_address(config.admin.listen), ("admin", "listen")


def _clash(one: HostPort | UnixPath, other: HostPort | UnixPath) -> bool:
    if isinstance(one, UnixPath) or isinstance(other, UnixPath):
        return one == other
    if one.port != other.port or one.port == 0:
        return False
    if one.host == other.host:
        return True
    for wild, host in ((one.host, other.host), (other.host, one.host)):
        if wild in WILDCARDS and (host == "localhost" or (":" in host) is WILDCARDS[wild]):
            return True
    return "localhost" in (one.host, other.host) and {one.host, other.host} & {"127.0.0.1", "::1"} != set()


def _targets(config: Config, report: Report) -> None:
    for name, upstream in config.upstreams.items():
        if upstream is FAILED:
            continue
        seen: set[str] = set()
        for index, target in enumerate(upstream.targets or ()):
            if target is FAILED or target.url is None:
                continue
            if target.url in seen:
                path = ("upstreams", name, "targets", index)
                report.add(path, f"{target.url} is listed twice", "give it a weight instead")
            seen.add(target.url)


def _tls(config: Config, report: Report) -> None:
    for index, listener in enumerate(config.server.listen):
        if listener is not FAILED and listener.tls is not None:
            _certificates(listener.tls, ("server", "listen", index, "tls"), report)
    for name, upstream in config.upstreams.items():
        if upstream is FAILED or upstream.tls == UpstreamTls():
            continue
        path: Path = ("upstreams", name, "tls")
        urls = [target.url for target in upstream.targets or () if target is not FAILED]
        if not any(url is not None and url.startswith("https:") for url in urls):
            if not report.touched(("upstreams", name, "targets")):
                report.add(path, "no target is spoken to by TLS", "expected one with https://", key=True)
        elif upstream.tls.key is not None and upstream.tls.cert is None:
            report.add((*path, "key"), "there is a key and no certificate", "give it as `cert`", key=True)
        else:
            _certificates(upstream.tls, path, report)


def _certificates(settings: ListenerTls | UpstreamTls, path: Path, report: Report) -> None:
    """Reads the files as the gateway will."""
    if report.touched(path):
        return
    if isinstance(settings, ListenerTls) and settings.client_ca is None:
        for key in ("client_auth", "subject_header"):
            if getattr(settings, key) != getattr(DEFAULT_TLS, key):
                hint = "give the CAs as `client_ca`"
                report.add((*path, key), "clients are asked for no certificate", hint, key=True)
    from tetrapylon.tls import problems

    for where, problem in problems(settings, datetime.now(UTC)):
        report.add((*path, *where), problem.message, problem.hint)


def _upstream_headers(config: Config, report: Report) -> None:
    for name, upstream in config.upstreams.items():
        if upstream is FAILED:
            continue
        path: Path = ("upstreams", name)
        for header in upstream.headers or ():
            meant = header.lower().replace("_", "-")
            if meant in OWN_FIELDS or meant in OWN_REQUEST_FIELDS:
                hint = "use `host`" if meant == "host" else "remove it"
                report.add((*path, "headers", header), "the gateway sets this field itself", hint)
        shown = upstream.credentials
        if shown is None or shown is FAILED:
            continue
        path = (*path, "credentials")
        if (shown.bearer is None) == (shown.user is None and shown.password is None):
            report.add(path, "these are no credentials", "give `user` and `password`, or `bearer` alone")
        elif shown.bearer is None and (shown.user is None or shown.password is None):
            report.add(path, "half of the credentials is missing", "give both `user` and `password`")
        elif shown.user is not None and ":" in shown.user:
            report.add((*path, "user"), "a user's name has no colon (RFC 7617 section 2)", "choose another")
        if any(each.lower() == "authorization" for each in upstream.headers or ()):
            report.add(path, "`headers` sets Authorization too", "keep one of the two")


def _routes(config: Config, report: Report) -> None:
    names: dict[str, int] = {}
    for index, route in enumerate(config.routes):
        if route is FAILED:
            continue
        path: Path = ("routes", index)
        _destination(route, path, report)
        if route.upstream is not None:
            _upstream(route.upstream, path, config, report)
        if route.respond is not None:
            _respond(route.respond, (*path, "respond"), report)
        if route.rewrite is not None:
            _rewrite(route, route.rewrite, (*path, "rewrite"), report)
        if route.redirect is not None and route.redirect.to is not None:
            _redirect(route, route.redirect, (*path, "redirect"), report)
        if route.name is not None:
            first = names.setdefault(route.name, index)
            if first != index:
                where = config.routes[first].at
                report.add(
                    (*path, "name"),
                    f"{route.name!r} is the name of the route at {where} too",
                    "choose another",
                )


def _destination(route: Route, path: Path, report: Report) -> None:
    unread = report.touched(path) and any(report.touched((*path, key)) for key in DESTINATIONS)
    if unread or report.refused(path):
        return
    given = [key for key in DESTINATIONS if getattr(route, key) is not None]
    if not given:
        report.add(path, "the route leads nowhere", "expected one of upstream, respond or redirect")
    elif len(given) > 1:
        report.add(
            (*path, given[1]), f"the route has `{given[0]}` already", "leave one of them out", key=True
        )
    elif given[0] != "upstream":
        if route.rewrite is not None:
            report.add(
                (*path, "rewrite"), f"a {given[0]} sends nothing on to rewrite", "leave it out", key=True
            )
        if route.timeouts != type(route.timeouts)():
            report.add((*path, "timeouts"), f"a {given[0]} waits for no upstream", "leave it out", key=True)


def _upstream(name: str, path: Path, config: Config, report: Report) -> None:
    if name in config.upstreams or (not config.upstreams and report.touched(("upstreams",))):
        return
    close = nearest(name, config.upstreams)
    known = ", ".join(sorted(config.upstreams)[:10]) or "one in `upstreams`"
    hint = f"did you mean {close!r}?" if close else f"expected {known}"
    report.add((*path, "upstream"), f"there is no upstream {name!r}", hint)


def _respond(respond: Respond, path: Path, report: Report) -> None:
    if respond.status in BODILESS and respond.body:
        report.add(
            (*path, "body"),
            f"an answer with status {respond.status} has no body (RFC 9110, 15)",
            "leave it out",
        )
    for name in respond.headers:
        if name.lower() in OWN_FIELDS:
            report.add((*path, "headers", name), f"the gateway sets {name} itself", "leave it out", key=True)
        elif name.lower() == "content-type":
            report.add(
                (*path, "headers", name),
                f"{name} has a key of its own",
                "write it as `content_type`",
                key=True,
            )


def _rewrite(route: Route, rewrite: str, path: Path, report: Report) -> None:
    if (literal := _parameters(route, rewrite, path, report)) is None:
        return
    if not literal.startswith("/"):
        report.add(path, f"{rewrite!r} is not a path", "expected one that begins with /")
    elif PATH.fullmatch(literal) is None:
        report.add(
            path,
            f"{rewrite!r} holds what no path may (RFC 3986, 3.3)",
            "write it percent-encoded, without a query",
        )


def _redirect(route: Route, redirect: Redirect, path: Path, report: Report) -> None:
    to = redirect.to
    if (literal := _parameters(route, to, path, report)) is None:
        return
    if not (to.startswith(("/", "http://", "https://")) and not to.startswith("//")):
        report.add(path, f"{to!r} is neither a path nor a URL", "expected /PATH, http://... or https://...")
    elif URI.fullmatch(literal) is None:
        report.add(path, f"{to!r} holds what no URL may (RFC 3986, 2)", "write it percent-encoded")
    elif to == route.path:
        report.add(path, "the route redirects to itself", "expected another path")


def _parameters(route: Route, text: str, path: Path, report: Report) -> str | None:
    """`text` with a plain letter for each parameter; None if it is malformed, which is reported."""
    try:
        pieces = split(text)
    except ValueError as error:
        report.add_error(path, error)
        return None
    known = re.findall(r"\{([^{}:]+)(?::[^{}]*)?\}", route.path or "")
    unknown = [piece for piece, named in pieces if named and piece not in known]
    if unknown and not report.touched((*path[:2], "path")):
        close = nearest(unknown[0], known)
        has = f"it has {', '.join(known)}" if known else "it has none"
        hint = f"did you mean {{{close}}}?" if close else has
        report.add(path, f"the route's path has no parameter {{{unknown[0]}}}", hint)
    return "".join("x" if named else piece for piece, named in pieces)


def _unclear(route: Route, path: Path, report: Report) -> bool:
    """Whether what the route takes could not be read."""
    keys = ("path", "methods", "host", "headers")
    if route is FAILED or route.path is None or report.refused(path):
        return True
    return any(report.touched((*path, key)) for key in keys)


def _table(config: Config, report: Report) -> None:
    """Builds the table of routes, which finds those that are malformed, can never match, or conflict."""
    router: Router[Route] = Router()
    indexes = []
    for index, route in enumerate(config.routes):
        path: Path = ("routes", index)
        if report.touched(path) and _unclear(route, path, report):
            continue
        try:
            table.add(router, route)
        except RouteError as error:
            report.add_error((*path, error.field) if error.field else path, error)
        else:
            indexes.append(index)
    try:
        router.freeze()
    except RouteConflict as error:
        seen = set()
        for conflict in error.conflicts:
            first, second = conflict.first, conflict.second
            if second.index in seen:
                continue
            seen.add(second.index)
            where = config.routes[indexes[first.index]].at
            same = first.methods == second.methods and first.headers == second.headers
            relation = (
                "takes the same requests as"
                if same
                else "takes some of the same requests, no less specific, as"
            )
            report.add(
                ("routes", indexes[second.index]),
                f"{second.path} {relation} the route at {where} ({first.path})",
                "remove one, or tell them apart by path, host, headers or methods",
            )
