"""The rules, one small function each: what it objects to, where, and in its decorator why and what to do."""

from __future__ import annotations

import re

from tetrapylon.audit import facts
from tetrapylon.audit.rule import Found, rule
from tetrapylon.config.mask import secrets
from tetrapylon.config.model import Config
from tetrapylon.config.secrets import names_secret
from tetrapylon.config.template import split
from tetrapylon.config.tree import Path, render_path
from tetrapylon.config.units import format_duration

LONG_WAIT = 300.0
SLOW_HEAD = 60.0
WIDE = {4: 8, 6: 16}
RENEWAL_DAYS = 30
# Hashes as `consumers` has them: what they are of cannot be read from them.
HASH = re.compile(r"sha256:|\$argon2|\$2[aby]\$")
FIRST_PIECE = re.compile(r"[a-z]+://", re.IGNORECASE)


# Who gets in.


@rule(
    "admin-exposed",
    "error",
    why="Nothing says who of those that reach it may read the config and reload, so it answers probes alone:"
    " operators and Prometheus get nothing there, and what protects it is that nobody set anything up.",
    fix="Listen on 127.0.0.1 or on a Unix socket, and let a proxy or an SSH tunnel carry operators there; or"
    " set `admin.token`, or `admin.tls.client_ca`.",
)
def admin_exposed(config: Config) -> Found:
    """The admin address is open to other machines."""
    if facts.admin_is_public(config) and not facts.admin_asks(config):
        yield ("admin", "listen"), f"{config.admin.listen} is reached from other machines"  # type: ignore[union-attr]


@rule(
    "admin-in-clear",
    "warning",
    why="Whoever is on the way reads the token, and from then on the config, and reloads it.",
    fix="Give `admin` its `tls`, or let it listen on 127.0.0.1 behind a proxy or an SSH tunnel; if the"
    " network between is your own, ignore this rule and say so.",
)
def admin_in_clear(config: Config) -> Found:
    """The admin's token travels without TLS."""
    admin = config.admin
    if admin is not None and facts.admin_is_public(config) and admin.token is not None and admin.tls is None:
        yield ("admin", "token"), f"{admin.listen} takes the token over plain HTTP"


@rule(
    "unauthenticated-write",
    "warning",
    why="A request that changes something goes on to the upstream, whoever sent it.",
    fix="Give the route, or all of them, a policy that knows its callers, or demand client certificates;"
    " if the upstream itself does so, ignore this rule and say so.",
)
def unauthenticated_write(config: Config) -> Found:
    """A route takes writes from anybody."""
    for index, route in facts.proxied(config):
        if not facts.safe(route) and not facts.authenticated(config, route):
            taken = ", ".join(route.methods) or "all methods"
            yield ("routes", index), f"{route.path} takes {taken} and asks for no identity"


@rule(
    "cache-before-identity",
    "warning",
    why="A hit is answered where the cache stands: whoever asks gets it, and nobody has asked who that is.",
    fix="List `cache` behind what says who may ask.",
)
def cache_before_identity(config: Config) -> Found:
    """A cache answers before it is known who asks."""
    for path, guard in facts.early_caches(config):
        yield path, f"{guard} stands behind it"


@rule(
    "trust-all",
    "error",
    why="Whoever sends X-Forwarded-For from there chooses the client address that logs,"
    " limits and access rules"
    " see.",
    fix="Name the networks that your own proxies and load balancers stand in, as narrowly as you can.",
)
def trust_all(config: Config) -> Found:
    """Nearly everybody counts as a trusted proxy."""
    from ipaddress import ip_network

    for index, network in enumerate(config.server.trusted_proxies):
        parsed = ip_network(network)
        if parsed.prefixlen < WIDE[parsed.version]:
            yield ("server", "trusted_proxies", index), f"{network} is most of the internet"


@rule(
    "proxy-protocol-exposed",
    "warning",
    why="A PROXY header is believed from whoever connects, and it says which address the client has.",
    fix="Bind the listener to an address that the load balancer alone reaches, or close it"
    " off in the firewall.",
)
def proxy_protocol_exposed(config: Config) -> Found:
    """A listener that believes PROXY headers is open to all."""
    for index, each in facts.public(config):
        if each.proxy_protocol and each.address.startswith(("0.0.0.0:", "[::]:")):
            yield ("server", "listen", index), f"{each.address} takes PROXY headers on every interface"


@rule(
    "open-redirect",
    "error",
    why="The one who writes the link chooses the site that it ends at, under your name: what"
    " phishing is made of.",
    fix="Write the host of the redirect's target out, and let parameters stand in its path alone.",
)
def open_redirect(config: Config) -> Found:
    """A redirect lets the request choose the host."""
    for index, route in enumerate(config.routes):
        if route.redirect is None:
            continue
        authority = FIRST_PIECE.sub("", route.redirect.to, count=1) if "://" in route.redirect.to else "/"
        head = authority.partition("/")[0] if not authority.startswith("{") else authority
        first = re.match(r"/\{(\w+)", route.redirect.to)
        rest = first is not None and f"{{{first[1]}:path}}" in route.path
        if any(named for _, named in split(head)) or rest:
            yield ("routes", index, "redirect"), f"{route.redirect.to} ends wherever the request says"


# Secrets and encryption.


@rule(
    "secret-in-clear",
    "error",
    why="Config files are copied, committed and shown in reviews, and their secrets with them.",
    fix="Write ${NAME} or ${file:/run/secrets/NAME} in its place, and change the secret: it has been seen.",
)
def secret_in_clear(config: Config) -> Found:
    """A secret is written in the config itself."""
    for path, value in secrets(config):
        if value and not HASH.match(value) and render_path(path) not in config.filled:
            yield path, f"the value of `{_name(path)}` stands in the file"


def _name(path: Path) -> str:
    return next(str(step) for step in reversed(path) if isinstance(step, str))


@rule(
    "plain-listener",
    "note",
    why="Requests, and the credentials in them, are read and changed by whoever is on the way.",
    fix="Give the listener `tls`, or ignore this rule if something before it ends TLS.",
)
def plain_listener(config: Config) -> Found:
    """A listener that other machines reach speaks plain HTTP."""
    for index, each in facts.public(config):
        if each.tls is None:
            yield ("server", "listen", index), f"{each.address} is without TLS"


@rule(
    "weak-cipher",
    "error",
    why="Ciphers without forward secrecy give all recorded traffic away with the key; broken"
    " ones give it away"
    " at once.",
    fix="Leave `ciphers` out: the default is sound. Or name ECDHE suites with GCM or CHACHA20 alone.",
)
def weak_cipher(config: Config) -> Found:
    """A listener offers weak ciphers."""
    for index, each in facts.listeners(config):
        if each.tls is not None and each.tls.ciphers is not None:
            weak = facts.weak_ciphers(each.tls.ciphers)
            if weak:
                shown = ", ".join(weak[:4]) + (f" and {len(weak) - 4} more" if len(weak) > 4 else "")
                yield (
                    ("server", "listen", index, "tls", "ciphers"),
                    f"{shown}: without forward secrecy, or broken",
                )


@rule(
    "old-tls",
    "note",
    why="TLS 1.2 is sound with the default ciphers, but its handshake shows certificates to whoever listens,"
    " and is the version that downgrade attacks aim at.",
    fix='Set `min_version: "1.3"` where all your clients speak it: browsers and libraries have since 2019.',
)
def old_tls(config: Config) -> Found:
    """A listener still speaks TLS 1.2."""
    for path, settings in facts.fronts(config):
        # `ciphers` are those of TLS 1.2: who names them has decided to speak it.
        if settings.min_version == "1.2" and settings.ciphers is None:
            yield (*path, "min_version"), "TLS 1.2 is spoken"


@rule(
    "target-unverified",
    "error",
    why="The connection is encrypted, and to whom nobody knows: whoever is on the way can be the target.",
    fix="Give the CA that signed the target's certificate as `tls.ca` in place of `verify: false`.",
)
def target_unverified(config: Config) -> Found:
    """The certificate of a target is not verified."""
    for name, upstream in config.upstreams.items():
        if not upstream.tls.verify:
            yield ("upstreams", name, "tls", "verify"), f"whoever answers for {name} is believed"


@rule(
    "credentials-in-plain",
    "warning",
    why="What the gateway shows the upstream is read by whoever is on the way, and works for them too.",
    fix="Speak to the target by https://.",
)
def credentials_in_plain(config: Config) -> Found:
    """Credentials go to another machine without TLS."""
    for name, upstream in config.upstreams.items():
        shown = upstream.credentials is not None or any(names_secret(header) for header in upstream.headers)
        for index, target in enumerate(upstream.targets):
            if shown and not target.url.startswith("https:") and not facts.local_target(target.url):
                yield ("upstreams", name, "targets", index), f"{name} is shown credentials over plain HTTP"


@rule(
    "certificate-expiring",
    "warning",
    why="On that day every client is refused at once.",
    fix="Renew it, and automate the renewal: changed files are read again by themselves.",
)
def certificate_expiring(config: Config) -> Found:
    """A certificate ends within 30 days."""
    yield from facts.expiring(config, RENEWAL_DAYS)


@rule(
    "key-readable",
    "warning",
    why="Whoever may log in to this machine, and every program on it, can be your server from then on.",
    fix="chmod 600 the file, owned by the user that the gateway runs as.",
)
def key_readable(config: Config) -> Found:
    """Everybody on this machine may read a private key."""
    import os
    import stat

    for path, file in facts.private_keys(config):
        try:
            mode = os.stat(file).st_mode
        except OSError:
            continue  # `check` says so
        if mode & stat.S_IROTH:
            yield path, f"{file} has mode {stat.S_IMODE(mode):o}"


# What a client can take up.


@rule(
    "body-limit",
    "warning",
    why="One client can keep an upstream's disk, memory or connection busy with a body that never ends.",
    fix="Set `server.limits.body` to what your largest honest request needs, and more on the"
    " routes that need it.",
)
def body_limit(config: Config) -> Found:
    """A route takes bodies of any size."""
    general = config.server.limits.body
    for index, route in facts.proxied(config):
        limit = facts.first(route.limits.body, general)
        if limit is None and facts.writes(route):
            yield ("routes", index), f"{route.path} takes bodies of any size"


@rule(
    "slow-head",
    "warning",
    why="Clients that send a byte now and then hold a connection each: a few machines hold all of them.",
    fix="Leave `server.timeouts.header` at its 10s, or below a minute at any rate.",
)
def slow_head(config: Config) -> Found:
    """Clients may take very long for a request's head."""
    if config.server.timeouts.header > SLOW_HEAD:
        yield (
            ("server", "timeouts", "header"),
            f"{format_duration(config.server.timeouts.header)} for a request's head",
        )


@rule(
    "client-connections",
    "note",
    why="One address may open all the connections that there are, and nobody else gets one.",
    fix="Set `server.limits.connections_per_client`; proxies in `trusted_proxies` are not counted.",
)
def client_connections(config: Config) -> Found:
    """One client may take all connections."""
    if any(True for _ in facts.public(config)) and config.server.limits.connections_per_client is None:
        yield ("server", "limits", "connections_per_client"), "one address may take all connections"


# What an upstream can take down.


@rule(
    "no-timeout",
    "error",
    why="A target that hangs takes its connections, then the queue, then the clients with it.",
    fix="Set `response` and `idle`, or `total`; a route that streams sets its own.",
)
def no_timeout(config: Config) -> Found:
    """Nothing ends the wait for an upstream."""
    for index, route in facts.proxied(config):
        if route.upstream is None:
            continue
        general = config.upstreams[route.upstream].timeouts
        waits = [
            facts.first(getattr(route.timeouts, key), getattr(general, key)) for key in ("response", "idle")
        ]
        if facts.first(route.timeouts.total, general.total) is None and None in waits:
            which = " and ".join(k for k, v in zip(("response", "idle"), waits, strict=True) if v is None)
            yield (
                ("routes", index),
                f"{route.path} waits for {route.upstream} for ever: no `{which}`, no `total`",
            )


@rule(
    "long-timeout",
    "note",
    why="While a target hangs, each request holds a connection for so long: the pool is empty"
    " before it ends.",
    fix="Wait no longer than a client would. What takes minutes belongs in a job that is asked about.",
)
def long_timeout(config: Config) -> Found:
    """An upstream is waited for very long."""
    for name, upstream in config.upstreams.items():
        wait = upstream.timeouts.response
        if wait is not None and wait > LONG_WAIT:
            path = (upstream.section, name, "timeouts", "response")
            yield path, f"{name} is waited for {format_duration(wait)}"


@rule(
    "dead-timeout",
    "warning",
    why="It looks as if it protected something, and never does: the shorter one always comes first.",
    fix="Make `response` shorter than `total`, or leave it out.",
)
def dead_timeout(config: Config) -> Found:
    """A timeout can never come into force."""
    for path, response, total in facts.waits(config):
        if response is not None and total is not None and response >= total:
            said = f"`response` ({format_duration(response)}) comes after `total` ({format_duration(total)})"
            yield path, said


@rule(
    "short-drain",
    "warning",
    why="Each deployment cuts the requests that take longer, and their clients see an error.",
    fix="Raise `server.timeouts.drain` above the longest answer, and the service manager's"
    " own limit with it.",
)
def short_drain(config: Config) -> Found:
    """Requests may take longer than a stop gives them."""
    drain = config.server.timeouts.drain
    longest = max((total or response or 0.0 for _, response, total in facts.waits(config)), default=0.0)
    if longest > drain:
        said = (
            f"stopping gives requests {format_duration(drain)}, answers may take {format_duration(longest)}"
        )
        yield ("server", "timeouts", "drain"), said


@rule(
    "unsafe-retry",
    "warning",
    why="A request whose answer was lost may have been acted upon: sent again, it orders, pays or writes"
    " twice.",
    fix="Leave these methods out of `retry.methods`, or let `retry.on` be `[connect]`, when nothing has been"
    " sent yet; if the upstream knows repetitions by a key of their own, ignore this rule and say so.",
)
def unsafe_retry(config: Config) -> Found:
    """Requests that are not idempotent are sent again."""
    for name, upstream in config.upstreams.items():
        retry = upstream.retry
        if retry is None or set(retry.on) <= {"connect"}:
            continue
        unsafe = [method for method in retry.methods if method not in facts.IDEMPOTENT]
        if unsafe:
            causes = ", ".join(str(cause) for cause in retry.on if cause != "connect")
            yield (
                (upstream.section, name, "retry", "methods"),
                f"{', '.join(unsafe)} may be done twice: sent again after {causes}",
            )


@rule(
    "no-health-check",
    "warning",
    why="A target that is down gets its share of the requests, and each of them waits for it and fails.",
    fix="Add `health: {active: {path: /healthz}}`, or `passive: {}` where targets have nothing to ask.",
)
def no_health_check(config: Config) -> Found:
    """Nobody notices that one of several targets is down."""
    for name, upstream in config.upstreams.items():
        if len(upstream.targets) > 1 and upstream.health.active is None and upstream.health.passive is None:
            count = len(upstream.targets)
            yield ("upstreams", name), f"{name} has {count} targets, and asks none of them how it is"


# What will be missed at three in the morning.


@rule(
    "no-admin",
    "warning",
    why="Without it there are no metrics, no readiness for a load balancer, no page and no rollback; a reload"
    " is ordered by HUP, and what became of it stands in the log alone.",
    fix="Add `admin: {listen: 127.0.0.1:9901}`.",
)
def no_admin(config: Config) -> Found:
    """There is no admin address."""
    if config.admin is None:
        yield (), "there is no `admin`"


@rule(
    "no-access-log",
    "warning",
    why="When something went wrong, nobody can say for whom, or since when.",
    fix="Leave `log.access` in. `sample: 0` writes errors alone, which costs next to nothing.",
)
def no_access_log(config: Config) -> Found:
    """There is no access log."""
    if config.log.access is None:
        yield ("log", "access"), "requests leave no trace"


@rule(
    "no-request-id",
    "note",
    why="A client's complaint cannot be matched with the gateway's line and the upstream's.",
    fix="Add `policies: [{use: request_id}]`.",
)
def no_request_id(config: Config) -> Found:
    """Requests have no id."""
    if not any("request_id" in facts.policies(config, route) for _, route in facts.proxied(config)) and any(
        True for _ in facts.proxied(config)
    ):
        yield ("policies",), "no route gives its requests an id"


@rule(
    "unused-upstream",
    "warning",
    why="It is a leftover, or the route that should lead there has been lost.",
    fix="Remove it, or mend the route.",
)
def unused_upstream(config: Config) -> Found:
    """No route leads to an upstream."""
    used = facts.used_upstreams(config)
    for name, upstream in config.upstreams.items():
        if name not in used:
            yield (upstream.section, name), f"no route leads to {name}"


# About the comments themselves: the reader of comments finds these.


@rule(
    "bad-ignore",
    "warning",
    why="What looks like a decision has no effect, or nobody will know why it was taken.",
    fix="Write `# audit: ignore RULE because REASON` at the line in question, or above it.",
)
def bad_ignore(config: Config) -> Found:
    """A comment ignores no rule, or gives no reason."""
    yield from ()


@rule(
    "unused-ignore",
    "warning",
    why="Whatever comes to stand there is ignored as well, and nobody has looked at it.",
    fix="Remove the comment.",
)
def unused_ignore(config: Config) -> Found:
    """A comment ignores a rule that has nothing to object to there."""
    yield from ()
