"""Keys, hashes, secrets and subjects as the config has them, and what identity policies share (leaf).

Messages never show the values: what was written in place of a hash may be the secret itself.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct, field

from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName
from tetrapylon.config.secrets import SECRET
from tetrapylon.config.units import Scalar

__all__ = [
    "ConsumerName",
    "Group",
    "Identifies",
    "KeyHash",
    "PasswordHash",
    "Scope",
    "Secret",
    "Subject",
    "SubjectRule",
    "Told",
    "attributes",
    "vouched",
]

SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
ARGON2 = re.compile(r"\$argon2(?:id|i|d)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
NAME = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
GROUP = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,200}")
TOLD = re.compile(r"name|groups|scopes|subject|(?:metadata|claims)\.[^\s.](?:[^\s]*[^\s.])?")
TYPE = re.compile(r" *([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)=")
ESCAPED = re.compile(r"([0-9A-Fa-f]{2})|(.)")
SHORTEST_SECRET = 16


def _key_hash(text: str) -> str:
    if SHA256.fullmatch(text) is not None:
        return text
    if SHA256.fullmatch(text.lower()) is not None:
        return text.lower()
    raise ValueError(
        "this is not the hash of a key; expected sha256:HEX, as `printf %s KEY | sha256sum` prints HEX"
    )


def _password_hash(text: str) -> str:
    if ARGON2.fullmatch(text) is None and BCRYPT.fullmatch(text) is None:
        raise ValueError(
            "this is not the hash of a password; expected $argon2id$... or $2b$..., as `argon2` and"
            " `htpasswd -nB` print them"
        )
    return text


def _secret(text: str) -> str:
    if len(text.encode()) < SHORTEST_SECRET:
        raise ValueError(
            f"a secret of fewer than {SHORTEST_SECRET} bytes can be guessed; expected a random one, such as"
            " `openssl rand -base64 32` prints"
        )
    return text


def _name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a name; expected printable ASCII, at most 200 characters")
    return text


def _group(text: str) -> str:
    if GROUP.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a group; expected printable ASCII without blanks and commas")
    return text


def _scope(text: str) -> str:
    if SCOPE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a scope (RFC 6749, 3.3); expected a word such as read:orders")
    return text


def _told(text: str) -> str:
    if TOLD.fullmatch(text) is None:
        raise ValueError(
            f"{text!r} is nothing known of a consumer; expected name, groups, scopes, subject,"
            " metadata.KEY or claims.NAME"
        )
    return text


def attributes(subject: str, *, patterns: bool = False) -> list[tuple[str, str]]:
    """What a subject says, by RFC 4514: `CN=mobile,O=Acme` -> [("CN", "mobile"), ("O", "Acme")].

    Types are in capitals, escapes resolved. With `patterns`, values are regular expressions, in which a bare
    `*` stands for any text. Raises ValueError.
    """
    found: list[tuple[str, str]] = []
    at = 0
    while True:
        match = TYPE.match(subject, at)
        if match is None:
            raise ValueError(f"{subject!r} is not a subject; expected one such as CN=mobile,O=Acme")
        at = match.end()
        value = bytearray()
        pattern = ""
        while at < len(subject) and subject[at] not in ",+":
            char = subject[at]
            at += 1
            if char == "\\":
                escaped = ESCAPED.match(subject, at)
                if escaped is None:
                    raise ValueError(f"{subject!r} ends in half an escape; expected RFC 4514, section 2.4")
                value += bytes.fromhex(escaped[1]) if escaped[1] else escaped[2].encode()
                at = escaped.end()
            elif char == "*" and patterns:
                pattern += re.escape(value.decode("utf-8", "surrogateescape")) + ".*"
                value.clear()
            else:
                value += char.encode()
        text = value.decode("utf-8", "surrogateescape")
        found.append((match[1].upper(), pattern + re.escape(text) if patterns else text))
        if at == len(subject):
            return found
        at += 1


def _subject(text: str) -> str:
    attributes(text)
    return text


def _subject_rule(text: str) -> str:
    attributes(text, patterns=True)
    return text


def _scalar(name: str, parse: object, example: str) -> Meta:
    return Meta(extra={"scalar": Scalar(name, parse, str, example)})  # type: ignore[arg-type]


KeyHash = Annotated[str, _scalar("the hash of a key", _key_hash, "sha256:" + 64 * "0"), SECRET]
PasswordHash = Annotated[str, _scalar("the hash of a password", _password_hash, "$argon2id$..."), SECRET]
Secret = Annotated[str, _scalar("a secret", _secret, "${NAME}"), SECRET]
ConsumerName = Annotated[str, _scalar("a name", _name, "mobile")]
Group = Annotated[str, _scalar("a group", _group, "partner")]
Scope = Annotated[str, _scalar("a scope", _scope, "read:orders")]
Subject = Annotated[str, _scalar("a subject", _subject, "CN=mobile,O=Acme")]
SubjectRule = Annotated[str, _scalar("a subject", _subject_rule, "CN=*.example.com,O=Acme")]
Told = Annotated[str, _scalar("what is known of a consumer", _told, "metadata.tenant")]


class Identifies(Struct, frozen=True, kw_only=True):
    """What the policies that find out who a request is from have in common."""

    headers: Annotated[
        dict[HeaderName, Told],
        doc(
            "The fields that tell upstreams: `name`, `groups`, `scopes`, `metadata.KEY`, and of a token"
            " `claims.NAME`, of a certificate `subject`. No client can send them itself."
        ),
    ] = field(default_factory=lambda: {"X-Consumer": "name", "X-Consumer-Groups": "groups"})
    optional: Annotated[
        bool, doc("A request that shows nothing goes on, as nobody's. What is wrong is refused all the same.")
    ] = False


def vouched(settings: Identifies) -> list[str]:
    """The header fields that a policy of these settings speaks to upstreams in."""
    return list(settings.headers)
