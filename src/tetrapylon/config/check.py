"""The checks of meaning: what no single value can tell. All problems go to the report.

A config may come here with values that could not be read: those are at their default, or FAILED in a
list, and nothing is said of them twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import msgspec
from msgspec import UNSET

from tetrapylon._core.routing.route import RouteConflict, RouteError, Router
from tetrapylon._core.telemetry.counters import MOST_BOUNDS
from tetrapylon.config import consumers, table
from tetrapylon.config.check_aggregate import check_aggregate
from tetrapylon.config.check_move import check_move, check_moves
from tetrapylon.config.check_shadow import check_shadow
from tetrapylon.config.check_upstreams import check_split, check_upstreams, upstream_known
from tetrapylon.config.code import check_code
from tetrapylon.config.model import Config, ListenerTls, Redirect, Respond, Route, UpstreamTls
from tetrapylon.config.net import HostPort, UnixPath, listen_address
from tetrapylon.config.policies import check_policies
from tetrapylon.config.shape import FAILED, nearest
from tetrapylon.config.template import split
from tetrapylon.config.tree import Path, Report, render_path
from tetrapylon.config.units import format_duration

__all__ = ["check"]

DESTINATIONS = ("upstream", "app", "split", "aggregate", "handler", "respond", "redirect")
# These take bodies and time of the gateway's own.
WHOLE = ("handler", "aggregate")
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
TOLD_ELSEWHERE = OWN_FIELDS | OWN_REQUEST_FIELDS | {"authorization", "cookie", "x-request-id"}
BODILESS = frozenset({204, 205, 304})
PAGE_VARIABLES = ("status", "title", "detail", "reason", "request_id", "route")
LARGEST_PAGE = 64 * 1024
DEFAULT_TLS = ListenerTls(cert="", key="")


def check(config: Config, report: Report) -> None:
    """Looks at a config as a whole."""
    if config.include and report.document.native:
        report.add(
            ("include",), "a config built in Python includes no files", "`load` them, and add what they have"
        )
    _addresses(config, report)
    _metrics(config, report)
    _logs(config, report)
    _pages(config, report)
    _traces(config, report)
    _targets(config, report)
    _tls(config, report)
    _upstream_headers(config, report)
    check_upstreams(config, report)
    consumers.check(config, report)
    _routes(config, report)
    check_policies(config, report)
    check_code(config, report)
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


def _metrics(config: Config, report: Report) -> None:
    if config.metrics is FAILED:
        return
    for key in ("duration_bounds", "gateway_bounds"):
        bounds = getattr(config.metrics, key) or ()
        path: Path = ("metrics", key)
        if len(bounds) > MOST_BOUNDS:
            report.add(path, f"{len(bounds)} bounds", f"expected at most {MOST_BOUNDS}", key=True)
        for index, (lower, upper) in enumerate(pairwise(bounds), 1):
            if lower is not FAILED and upper is not FAILED and upper <= lower:
                below, above = format_duration(upper), format_duration(lower)
                report.add((*path, index), f"{below} comes after {above}", "expected bounds that rise")


def _logs(config: Config, report: Report) -> None:
    access = config.log.access
    if access is None or access is FAILED or access.format != "combined":
        return
    for key in ("headers", "response_headers"):
        if getattr(access, key):
            hint = "leave it out, or choose json"
            report.add(("log", "access", key), "the combined format has no place for them", hint, key=True)


def _pages(config: Config, report: Report) -> None:
    taken: dict[tuple[str, int | None], int] = {}
    for index, page in enumerate(config.server.errors):
        path: Path = ("server", "errors", index)
        if page is FAILED or page.type is None or page.body is None:
            continue
        if len(page.body.encode()) > LARGEST_PAGE:
            report.add(
                (*path, "body"), "the body is larger than 64KiB", "leave images and styles to a server"
            )
        for word in dict.fromkeys(re.findall(r"\{([A-Za-z_]+)\}", page.body)):
            if word not in PAGE_VARIABLES and (close := nearest(word, PAGE_VARIABLES)):
                report.add((*path, "body"), f"{{{word}}} is no variable", f"did you mean {{{close}}}?")
        for status in page.status or (None,):
            first = taken.setdefault((page.type, status), index)
            if first != index:
                what = f"{page.type} for {status}" if status else f"{page.type} for all statuses"
                report.add(path, f"server.errors[{first}] is {what} too", "remove one")
                break


def _traces(config: Config, report: Report) -> None:
    if config.traces is None or config.traces is FAILED:
        return
    # What could not be read may have been the one.
    lists = [] if report.problems else [config.policies, *(route.uses for route in config.routes)]
    if lists and not any(use.use == "traceparent" for uses in lists for use in uses):
        report.add(("traces",), "nothing makes spans", "add `policies: [{use: traceparent}]`", key=True)
    from importlib.util import find_spec

    if find_spec("opentelemetry") is None:
        hint = 'pip install "tetrapylon[otel]"'
        report.add(("traces",), "traces need OpenTelemetry's SDK", hint, key=True)


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
    admin = config.admin
    if admin is not None and admin is not FAILED and admin.tls is not None and admin.tls is not FAILED:
        if admin.tls.cert is not None and admin.tls.key is not None:
            _certificates(admin.tls.listener(), ("admin", "tls"), report)
        if admin.listen is not None and isinstance(listen_address(admin.listen), UnixPath):
            hint = "leave it out: who may open the socket is the file system's to say"
            report.add(("admin", "tls"), "a Unix socket speaks no TLS", hint, key=True)
    for name, upstream in config.upstreams.items():
        if upstream is FAILED or upstream.tls == UpstreamTls():
            continue
        path: Path = ("upstreams", name, "tls")
        if upstream.discover is not None or not upstream.targets:
            continue
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
    if isinstance(settings, ListenerTls) and _as_cgi_reads(settings.subject_header) in TOLD_ELSEWHERE:
        fault = f"{settings.subject_header} says something else of a request"
        report.add((*path, "subject_header"), fault, "choose a name of its own")
    from tetrapylon.net.tls import problems

    for where, problem in problems(settings, datetime.now(UTC)):
        report.add((*path, *where), problem.message, problem.hint)


def _subject_headers(config: Config) -> dict[str, int]:
    """The fields in which upstreams are told the subject of a client's certificate -> the listener."""
    listeners = [(i, each.tls) for i, each in enumerate(config.server.listen) if each is not FAILED]
    return {
        _as_cgi_reads(tls.subject_header): index
        for index, tls in listeners
        if tls is not None and tls is not FAILED and tls.client_ca is not None
    }


def _as_cgi_reads(name: str) -> str:
    return name.lower().replace("_", "-")


def _upstream_headers(config: Config, report: Report) -> None:
    subjects = _subject_headers(config)
    for name, upstream in config.upstreams.items():
        if upstream is FAILED:
            continue
        path: Path = ("upstreams", name)
        for header in upstream.headers or ():
            meant = _as_cgi_reads(header)
            if meant in OWN_FIELDS or meant in OWN_REQUEST_FIELDS:
                hint = "use `host`" if meant == "host" else "remove it"
                report.add((*path, "headers", header), "the gateway sets this field itself", hint)
            elif (listener := subjects.get(meant)) is not None:
                fault = f"server.listen[{listener}].tls tells the client certificate's subject in this field"
                report.add((*path, "headers", header), fault, "choose another name for one of the two")
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
    check_moves(config, report)
    names: dict[str, int] = {}
    for index, route in enumerate(config.routes):
        if route is FAILED:
            continue
        path: Path = ("routes", index)
        _destination(route, path, report)
        if route.upstream is not None and route.app is None:
            upstream_known(route.upstream, (*path, "upstream"), config, report)
        if route.split is not None:
            check_split(route.split, (*path, "split"), config, report)
        if route.shadow is not None:
            check_shadow(route, (*path, "shadow"), config, report)
        if route.move is not None:
            check_move(route, (*path, "move"), config, report)
        if route.aggregate is not None:
            check_aggregate(route, route.aggregate, (*path, "aggregate"), config, report)
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
    if route.app is not None and route.app == route.upstream:
        given.remove("upstream")  # the app's own
    if not given:
        hint = "expected one of upstream, app, split, aggregate, handler, respond or redirect"
        report.add(path, "the route leads nowhere", hint)
    elif len(given) > 1:
        report.add(
            (*path, given[1]), f"the route has `{given[0]}` already", "leave one of them out", key=True
        )
    elif given[0] not in ("upstream", "app", "split"):
        if route.rewrite is not None:
            report.add(
                (*path, "rewrite"), f"a {given[0]} sends nothing on to rewrite", "leave it out", key=True
            )
        left = msgspec.structs.replace(route.timeouts, total=UNSET, body=UNSET, body_idle=UNSET)
        if given[0] == "aggregate" and left != type(left)():
            hint = "expected `total` here, and `timeout` of a part or the upstream's timeouts"
            report.add((*path, "timeouts"), "an aggregate's parts have timeouts of their own", hint, key=True)
        elif (left if given[0] in WHOLE else route.timeouts) != type(route.timeouts)():
            report.add((*path, "timeouts"), f"a {given[0]} waits for no upstream", "leave it out", key=True)


def _respond(respond: Respond, path: Path, report: Report) -> None:
    if respond.status in BODILESS and respond.body:
        report.add(
            (*path, "body"),
            f"an answer with status {respond.status} has no body (RFC 9110, 15)",
            "leave it out",
        )
    upgrades = {"upgrade"} if respond.status == 426 else set()  # RFC 9110, 15.5.22
    if upgrades and not any(name.lower() == "upgrade" for name in respond.headers):
        report.add((*path, "status"), "426 has to say what to upgrade to", "add `headers: {Upgrade: ...}`")
    for name in respond.headers:
        if name.lower() in OWN_FIELDS - upgrades:
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
