"""What several rules ask of a config (leaf)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from msgspec import UnsetType

from tetrapylon.config.model import Config, Listener, ListenerTls, Route, UpstreamTls
from tetrapylon.config.net import METHODS, UnixPath, listen_address, target_address
from tetrapylon.config.tree import Path

T = TypeVar("T")

# RFC 9110, 9.2.1, and what WebDAV and others define as safe.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"})
BODILESS = SAFE - {"PROPFIND", "REPORT", "SEARCH", "QUERY"} | {"DELETE"}

# RFC 9110, 9.2.2.
IDEMPOTENT = SAFE | {"PUT", "DELETE"}

IDENTITY = frozenset(
    {
        "api_key",
        "basic",
        "basic_auth",
        "bearer",
        "client_cert",
        "forward_auth",
        "hmac",
        "introspection",
        "jwt",
    }
    | {"mtls", "oauth2", "oidc", "opa", "require", "signature"}
)
"""Policies that let nobody pass whom they do not know."""


def is_private(address: str) -> bool:
    """Whether a listen address is reached from this machine alone."""
    where = listen_address(address)
    if isinstance(where, UnixPath):
        return True
    from ipaddress import ip_address

    if where.host == "localhost":
        return True
    try:
        return ip_address(where.host).is_loopback
    except ValueError:
        return False


def admin_is_public(config: Config) -> bool:
    """Whether other machines reach the admin address."""
    return config.admin is not None and not is_private(config.admin.listen)


def admin_asks(config: Config) -> bool:
    """Whether it asks who somebody is."""
    admin = config.admin
    return admin is not None and (
        admin.token is not None or (admin.tls is not None and admin.tls.client_ca is not None)
    )


def local_target(url: str) -> bool:
    """Whether what is sent to a target stays on this machine."""
    where = target_address(url)
    return isinstance(where, UnixPath) or is_private(str(where))


def listeners(config: Config) -> Iterator[tuple[int, Listener]]:
    yield from enumerate(config.server.listen)


def public(config: Config) -> Iterator[tuple[int, Listener]]:
    """Listeners that other machines reach."""
    return ((index, each) for index, each in listeners(config) if not is_private(each.address))


def proxied(config: Config) -> Iterator[tuple[int, Route]]:
    """Routes whose requests somebody's code will act upon."""
    return ((i, route) for i, route in enumerate(config.routes) if not route.respond and not route.redirect)


def methods(route: Route) -> frozenset[str]:
    return frozenset(route.methods) or METHODS


def safe(route: Route) -> bool:
    return methods(route) <= SAFE


def writes(route: Route) -> bool:
    """Whether it takes requests that carry bodies."""
    return not methods(route) <= BODILESS


def policies(config: Config, route: Route) -> frozenset[str]:
    return frozenset(use.use for use in (*config.policies, *route.policies))


def early_caches(config: Config) -> Iterator[tuple[Path, str]]:
    """Each `cache` that has a policy behind it that would turn clients away, and the name of that."""
    common: list[tuple[Path, str]] = [(("policies", i), use.use) for i, use in enumerate(config.policies)]
    told = set()
    for index, route in proxied(config):
        own = [(("routes", index, "policies", i), use.use) for i, use in enumerate(route.policies)]
        uses = [*common, *own]
        for at, (path, name) in enumerate(uses):
            guard = next((other for _, other in uses[at:] if other in IDENTITY | {"acl", "ip"}), None)
            if name == "cache" and guard is not None and path not in told:
                told.add(path)
                yield path, guard


def authenticated(config: Config, route: Route) -> bool:
    """Whether nobody unknown gets through: by a policy, or since every listener asks for a certificate."""
    asks = [each.tls is not None and each.tls.client_ca is not None for each in config.server.listen]
    demands = [each.tls is not None and each.tls.client_auth == "required" for each in config.server.listen]
    return bool(policies(config, route) & IDENTITY) or (all(asks) and all(demands))


def first(own: T | UnsetType, general: T) -> T:
    return general if isinstance(own, UnsetType) else own


def waits(config: Config) -> Iterator[tuple[Path, float | None, float | None]]:
    """Each upstream's, and each route's own timeouts: path, `response` and `total` in force."""
    for name, upstream in config.upstreams.items():
        yield (upstream.section, name, "timeouts"), upstream.timeouts.response, upstream.timeouts.total
    for index, route in proxied(config):
        own = route.timeouts
        if route.upstream is not None and own != type(own)():
            general = config.upstreams[route.upstream].timeouts
            response, total = first(own.response, general.response), first(own.total, general.total)
            yield ("routes", index, "timeouts"), response, total


def used_upstreams(config: Config) -> frozenset[str]:
    """Upstreams that a route leads to, or that a policy's settings name."""
    routes = {name for route in config.routes for name in route.upstreams}
    routes |= {route.shadow.to for route in config.routes if route.shadow is not None}
    uses = (*config.policies, *(use for route in config.routes for use in route.uses))
    return frozenset(routes) | frozenset(text for use in uses for text in _texts(use.settings))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


def fronts(config: Config) -> Iterator[tuple[Path, ListenerTls]]:
    """What is spoken with clients, the admin's too."""
    for index, listener in listeners(config):
        if listener.tls is not None:
            yield ("server", "listen", index, "tls"), listener.tls
    if config.admin is not None and config.admin.tls is not None:
        yield ("admin", "tls"), config.admin.tls.listener()


def _tls(config: Config) -> Iterator[tuple[Path, ListenerTls | UpstreamTls]]:
    yield from fronts(config)
    for name, upstream in config.upstreams.items():
        if upstream.tls != UpstreamTls():
            yield ("upstreams", name, "tls"), upstream.tls


def expiring(config: Config, days: int) -> Iterator[tuple[Path, str]]:
    """What `check` would say of the certificates in so many days."""
    from datetime import UTC, datetime, timedelta

    from tetrapylon.net.tls import problems

    for path, settings in _tls(config):
        for where, problem in problems(settings, datetime.now(UTC) + timedelta(days=days)):
            yield (*path, *where), problem.message.replace(" expired on ", " expires on ")


def private_keys(config: Config) -> Iterator[tuple[Path, str]]:
    for path, settings in _tls(config):
        if settings.key is not None:
            yield (*path, "key"), settings.key
        if isinstance(settings, ListenerTls):
            for index, pair in enumerate(settings.certificates):
                yield (*path, "certificates", index, "key"), pair.key


def weak_ciphers(names: str) -> list[str]:
    """Of the suites that OpenSSL makes of `names`: the broken ones, and those without forward secrecy."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(names)
    found = []
    for suite in context.get_ciphers():
        forward_secret = suite["protocol"] == "TLSv1.3" or suite["kea"] in ("kx-ecdhe", "kx-dhe")
        sound = suite["aead"] and suite["strength_bits"] >= 128 and suite["auth"] != "auth-null"
        if not (forward_secret and sound):
            found.append(str(suite["name"]))
    return found
