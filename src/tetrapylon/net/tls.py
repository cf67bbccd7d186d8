"""TLS by the config: contexts from files, the choice by name, and files that change meanwhile."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tetrapylon.errors import TetrapylonError
from tetrapylon.net import x509
from tetrapylon.telemetry.events import say

if TYPE_CHECKING:
    from tetrapylon.config.model import Certificate, ListenerTls, UpstreamTls

__all__ = ["Files", "Identity", "TlsProblem", "Watcher", "client_context", "problems", "server_context"]

# Mozilla's "intermediate" list of 2025 without DHE: forward secrecy and authenticated encryption alone.
# TLS 1.3 has a list of its own, all of it sound.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
LOOK = 1.0
"""Seconds between two looks at the files. What has changed is read once it was still for one look."""


class TlsProblem(TetrapylonError):
    """A file or a setting that TLS cannot be spoken with; `key` is the one of the config that names it."""

    def __init__(self, key: str, message: str, hint: str) -> None:
        self.key = key
        self.message = message
        self.hint = hint
        super().__init__(f"{message}; {hint}")


# Servers


def server_context(settings: ListenerTls) -> ssl.SSLContext:
    """A context of those settings, without a certificate. Raises TlsProblem."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[settings.min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    _set_ciphers(context, settings.ciphers)
    context.set_alpn_protocols(["http/1.1"])
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED if settings.client_auth == "required" else ssl.CERT_OPTIONAL
        _load_ca(context, settings.client_ca, "client_ca")
    return context


class Identity:
    """A listener's certificates, the one to show chosen by the name that the client asks for.

    A handshake begins in `front` and goes on in the context of the certificate, so that certificates can be
    replaced while the keys of session tickets stay. One that was made before the workers were forked has them
    resume each other's sessions. Raises TlsProblem.
    """

    def __init__(self, settings: ListenerTls, front: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._ca = _content(settings.client_ca)
        self._named: dict[str, ssl.SSLContext] = {}
        self.front = front or server_context(settings)
        self._default = self._load(None)
        self.front.sni_callback = self._choose  # also called where the client names none

    @property
    def files(self) -> list[str]:
        ca = [self._settings.client_ca] if self._settings.client_ca is not None else []
        return ca + [file for pair in pairs(self._settings) for file in (pair.cert, pair.key)]

    def reload(self) -> None:
        """Reads all files anew. Raises TlsProblem, and then nothing has changed.

        With another client CA the ticket keys go too: a ticket vouches for a certificate that the old one
        had signed. From then on each worker resumes only its own sessions.
        """
        ca = _content(self._settings.client_ca)
        front = self.front if ca == self._ca else server_context(self._settings)
        self._default = self._load(datetime.now(UTC))
        self._ca = ca
        self.front = front
        self.front.sni_callback = self._choose

    def _load(self, now: datetime | None) -> ssl.SSLContext:
        named: dict[str, ssl.SSLContext] = {}
        contexts = []
        for pair in pairs(self._settings):
            context = server_context(self._settings)
            for name in load_pair(context, pair.cert, pair.key, now).names:
                named.setdefault(name, context)
            contexts.append(context)
        self._named = named
        return contexts[0]

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self.find(name)

    def find(self, name: str | None) -> ssl.SSLContext:
        """By exact name, then by wildcard for the first label (RFC 6125, 6.4.3), else the first."""
        if name is None:
            return self._default
        name = name.lower()
        return self._named.get(name) or self._named.get("*." + name.partition(".")[2]) or self._default


def pairs(settings: ListenerTls) -> Iterator[ListenerTls | Certificate]:
    """The certificates with their keys, the default first."""
    yield settings
    yield from settings.certificates


# Clients


def client_context(settings: UpstreamTls, now: datetime | None = None) -> ssl.SSLContext:
    """For connections to an upstream's targets. Raises TlsProblem."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif settings.ca is not None:
        _load_ca(context, settings.ca, "ca")
    else:
        context.set_default_verify_paths()
    if settings.cert is not None:
        load_pair(context, settings.cert, settings.key or settings.cert, now)
    return context


def client_files(settings: UpstreamTls) -> list[str]:
    return [file for file in (settings.ca, settings.cert, settings.key) if file is not None]


# Files


def load_pair(context: ssl.SSLContext, cert: str, key: str, now: datetime | None) -> x509.Certificate:
    """Loads a certificate chain and its key. `now` None takes one that has expired. Raises TlsProblem."""
    text = _read(cert, "cert")
    _read(key, "key")
    try:
        found = x509.first(text)
    except ValueError as error:
        raise TlsProblem("cert", f"{cert} {error}", "expected a PEM file, the server's own first") from None
    if now is not None and found.ends < now:
        raise TlsProblem("cert", f"the certificate in {cert} expired on {found.ends:%Y-%m-%d}", "renew it")
    if now is not None and found.begins > now:
        hint = "wait, or set the clock"
        raise TlsProblem("cert", f"the certificate in {cert} begins on {found.begins:%Y-%m-%d}", hint)
    locked = False

    def password() -> str:
        nonlocal locked
        locked = True
        return ""

    try:
        context.load_cert_chain(cert, key, password)
    except (ssl.SSLError, OSError) as error:
        if locked:
            hint = "expected one without: the gateway starts with nobody at the keyboard"
            raise TlsProblem("key", f"the key in {key} is locked with a passphrase", hint) from None
        reason = getattr(error, "reason", None) or str(error)
        if reason == "KEY_VALUES_MISMATCH":
            hint = "expected the key that the certificate was made for"
            raise TlsProblem(
                "key", f"the key in {key} does not belong to the certificate in {cert}", hint
            ) from None
        if "TOO_SMALL" in reason or "TOO_WEAK" in reason:
            hint = "make a stronger one"
            raise TlsProblem(
                "cert", f"OpenSSL refuses the certificate in {cert}: {_words(reason)}", hint
            ) from None
        hint = "expected a private key in PEM form"
        raise TlsProblem("key", f"{key} holds no key that can be read ({_words(reason)})", hint) from None
    return found


def _load_ca(context: ssl.SSLContext, ca: str, key: str) -> None:
    _read(ca, key)
    try:
        context.load_verify_locations(cafile=ca)
    except (ssl.SSLError, OSError) as error:
        reason = _words(getattr(error, "reason", None) or str(error))
        raise TlsProblem(
            key, f"{ca} holds no CA certificate that can be read ({reason})", "expected PEM"
        ) from None


def _set_ciphers(context: ssl.SSLContext, ciphers: str | None) -> None:
    for name in (ciphers or "").split(":"):
        if name and name[0] not in "!+-@":
            try:
                context.set_ciphers(name)  # of a list with one good name OpenSSL takes any rubbish
            except ssl.SSLError:
                hint = "expected OpenSSL's names for TLS 1.2; `openssl ciphers -tls1_2` lists them"
                raise TlsProblem("ciphers", f"there is no cipher {name!r}", hint) from None
    try:
        context.set_ciphers(ciphers or CIPHERS)
    except ssl.SSLError:
        raise TlsProblem("ciphers", f"{ciphers!r} leaves no cipher", "expected at least one") from None


def _read(file: str, key: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:
            return opened.read()
    except (OSError, ValueError) as error:  # a name with a NUL in it
        hint = "check the name and its permissions; relative names start at the working directory"
        reason = getattr(error, "strerror", None) or str(error)
        raise TlsProblem(key, f"{file} cannot be read: {reason}", hint) from None


def _content(file: str | None) -> str:
    return _read(file, "client_ca") if file is not None else ""


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower()


def problems(
    settings: ListenerTls | UpstreamTls, now: datetime
) -> Iterator[tuple[tuple[str | int, ...], TlsProblem]]:
    """All that keeps these settings from being served with, each with the way to its key."""
    from tetrapylon.config.model import ListenerTls

    if not isinstance(settings, ListenerTls):
        try:
            client_context(settings, now)
        except TlsProblem as problem:
            yield (problem.key,), problem
        return
    try:
        server_context(settings)
    except TlsProblem as problem:
        yield (problem.key,), problem
    for index, pair in enumerate(pairs(settings)):
        try:
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair.cert, pair.key, now)
        except TlsProblem as problem:
            yield (("certificates", index - 1, problem.key) if index else (problem.key,)), problem


class Files:
    """Files that are read together. `reload` raises TlsProblem."""

    def __init__(self, names: list[str], reload: Callable[[], None], watcher: Watcher) -> None:
        self._names = names
        self._watcher = watcher
        self._reload = reload
        self._seen = self._changing = self._look()

    def look(self) -> None:
        """Reads them again when they have changed, and have been still since the last look."""
        found = self._look()
        if found != self._seen and found == self._changing:
            self._seen = found
            try:
                self._reload()
            except TlsProblem as problem:
                say("error", f"tls: {problem}; the files read before stay in use")
        self._changing = found

    def close(self) -> None:
        """They are looked at no more."""
        self._watcher.forget(self)

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(name) for name in self._names]


def _stamp(name: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None  # it has gone: a change as any other, which `reload` then names
    return found.st_mtime_ns, found.st_ino, found.st_size


class Watcher:
    """Looks at the files now and then, on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._files: dict[Files, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, names: list[str], reload: Callable[[], None]) -> Files:
        """Until what is given is closed."""
        files = Files(names, reload, self)
        self._files[files] = None
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK, self._look)
        return files

    def forget(self, files: Files) -> None:
        self._files.pop(files, None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK, self._look)
        for files in list(self._files):
            files.look()
