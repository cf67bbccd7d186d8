"""Whom a token makes known: from the settings of `jwt` to keys, verdicts and consumers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tetrapylon.config.model import Consumer
from tetrapylon.config.model.credentials import GROUP, NAME
from tetrapylon.errors import TetrapylonError
from tetrapylon.identity.consumers import Untellable, by_name, claimed, known
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon._core.identity import Known
    from tetrapylon._core.upstreams.call import Call
    from tetrapylon.config.model import Config
    from tetrapylon.identity.jwks import Published
    from tetrapylon.identity.tokens import Key

__all__ = ["Bearers", "problems"]

LONGEST = 86400.0
"""Seconds for which a token without an end is remembered."""
SOURCES = ("jwks", "jwks_file", "public_key", "secret")


class BadKeys(TetrapylonError):
    """Keys of the config that cannot be used; `key` is the setting that names them."""

    def __init__(self, key: str, message: str, hint: str = "") -> None:
        self.key, self.message, self.hint = key, message, hint
        super().__init__(f"{message}; {hint}" if hint else message)


class Bearers:
    """Says of a token who shows it and how long that holds, or why it is not believed."""

    def __init__(self, settings: Any, scope: Any) -> None:
        from tetrapylon.identity.tokens import Keys, Verifier

        self._settings = settings
        self._consumers = by_name(scope.config)
        self._local = local_keys(settings)
        self._fetched: list[Key] = []
        self.changed: Callable[[], object] = lambda: None
        """Called when the keys are others than before: what the old ones verified is to be forgotten."""
        self._verifier = Verifier(
            Keys(),
            issuers=settings.issuer,
            audiences=settings.audience,
            leeway=settings.leeway,
            required=settings.required,
            claims={
                name: (value,) if isinstance(value, str) else value for name, value in settings.claims.items()
            },
        )
        self._renew()
        self.published = None if settings.jwks is None else self._publish(scope)
        if settings.jwks_file is not None:
            self._watch(scope)

    def examine(self, token: bytes) -> tuple[Known, float] | str:
        """The consumer and the seconds for which that holds; or the reason why not."""
        from tetrapylon.identity.tokens import Refused

        settings = self._settings
        try:
            claims, ends = self._verifier.verify(token)
        except Refused as refused:
            return refused.reason
        scopes = claimed(claims, settings.scope_claim, " ")
        if not set(settings.scopes) <= set(scopes):
            return "scope"
        name = claims.get(settings.consumer_claim)
        if name is None:
            return "missing_claim"
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            return "claim"
        consumer = self._consumers.get(name)
        if consumer is None and settings.known_only:
            return "consumer"
        groups = [] if settings.groups_claim is None else claimed(claims, settings.groups_claim, ",")
        try:
            who = known(
                consumer or Consumer(name=name),
                settings.headers,
                groups=[group for group in groups if GROUP.fullmatch(group)],
                scopes=scopes,
                claims=claims,
            )
        except Untellable:
            return "claim"
        return who, LONGEST if ends is None else min(max(ends - time.time(), 0.0), LONGEST)

    def _renew(self) -> None:
        from tetrapylon.identity.tokens import Keys

        self._verifier.keys = Keys([*self._local, *self._fetched], self._settings.algorithms)
        self.changed()

    def _publish(self, scope: Any) -> Published:
        from tetrapylon._core.upstreams.call import Call
        from tetrapylon.identity.jwks import Published
        from tetrapylon.identity.tokens import read_jwks

        jwks = self._settings.jwks
        plan = scope.plan(jwks.upstream, total=jwks.timeout)
        host = (jwks.host or host_of(scope.config, jwks.upstream)).encode()
        seen = b""

        async def fetch() -> bytes:
            headers = [(b"Host", host), (b"Accept", b"application/jwk-set+json, application/json")]
            call: Call = await Call(scope.calls, plan, b"GET", jwks.path.encode(), headers).fetch()
            if call.status != 200:
                raise OSError(f"the answer has status {call.status}" if call.status else call.fault)
            return call.payload

        def take(data: bytes) -> None:
            nonlocal seen
            keys = read_jwks(data)
            if data != seen:
                self._fetched, seen = keys, data
                self._renew()

        published = Published(
            f"jwt: keys of {jwks.upstream}{jwks.path}",
            fetch,
            take,
            loop=scope.loop,
            cooldown=jwks.cooldown,
            refresh=jwks.refresh,
        )
        scope.closing.append(published)
        published.start()
        return published

    def _watch(self, scope: Any) -> None:
        from tetrapylon.net.tls import Watcher

        def reload() -> None:
            try:
                self._local = local_keys(self._settings)
            except BadKeys as problem:
                say("error", f"jwt: {problem}; the keys read before stay in use")
            else:
                self._renew()

        watcher = next((each for each in scope.closing if isinstance(each, Watcher)), None)
        if watcher is None:
            watcher = Watcher(scope.loop)
            scope.closing.append(watcher)
        watcher.add([self._settings.jwks_file], reload)


def host_of(config: Config, upstream: str) -> str:
    """The Host by which an upstream is asked when there is no client's to pass on."""
    from tetrapylon.config.net import UnixPath, target_address

    settings = config.upstreams[upstream]
    if settings.host not in ("preserve", "target"):
        return settings.host
    if not settings.targets:  # they are found while it serves
        dns = settings.discover.dns if settings.discover is not None else None
        return dns.name if dns is not None and not dns.srv else upstream
    url = settings.targets[0].url
    where = target_address(url)
    if isinstance(where, UnixPath):
        return "localhost"
    return str(where).removesuffix(":443" if url.startswith("https:") else ":80")


def local_keys(settings: Any) -> list[Key]:
    """The keys that the config itself has. Raises BadKeys."""
    from tetrapylon.identity.tokens import BadKey, read_jwks, read_pem, secret_key

    keys: list[Key] = []
    try:
        setting = "secret"
        if settings.secret is not None:
            keys.append(secret_key(settings.secret, settings.algorithms))
        setting = "public_key"
        if settings.public_key is not None:
            keys.append(read_pem(_read(settings.public_key, setting)))
        setting = "jwks_file"
        if settings.jwks_file is not None:
            keys += read_jwks(_read(settings.jwks_file, setting), secrets=True)
    except BadKey as error:
        message, _, hint = str(error).partition("; ")
        name = f"{getattr(settings, setting)}: " if setting != "secret" else ""
        raise BadKeys(setting, f"{name}{message}", hint) from None
    return keys


def _read(name: str, setting: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError as error:
        hint = "check the name and its permissions; relative names start at the working directory"
        raise BadKeys(setting, f"{name} cannot be read: {error.strerror or error}", hint) from None


def problems(settings: Any, config: Config) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    if find_spec("joserfc") is None:
        yield (), "joserfc is not installed", "`pip install tetrapylon[jwt]` brings it"
        return
    if all(getattr(settings, source) is None for source in SOURCES):
        yield (
            (),
            "there is no key to verify tokens with",
            "give jwks, jwks_file, public_key or secret",
        )
    hashed = [name for name in settings.algorithms if name.startswith("HS")]
    if settings.secret is not None and not hashed:
        hint = "add HS256 to them, or leave the secret out"
        yield ("secret",), "none of the `algorithms` uses a secret", hint
    if hashed and settings.secret is None and settings.jwks_file is None:
        yield ("algorithms",), f"{hashed[0]} needs a secret", "give it as `secret`"
    if settings.jwks is not None and settings.jwks.upstream not in config.upstreams:
        known_ones = ", ".join(sorted(config.upstreams)[:10]) or "one in `upstreams`"
        what = f"there is no upstream {settings.jwks.upstream!r}"
        yield ("jwks", "upstream"), what, f"expected {known_ones}"
    if not settings.issuer and settings.jwks is not None:
        hint = "give the `iss` of the tokens that these keys sign"
        yield (), "tokens of any issuer would do", hint
    try:
        local_keys(settings)
    except BadKeys as problem:
        yield (problem.key,), problem.message, problem.hint
