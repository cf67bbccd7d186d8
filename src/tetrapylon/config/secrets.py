"""What is secret in a config and in a request, by the names it goes by, and how it is shown (leaf)."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta

__all__ = [
    "HEADERS",
    "MASK",
    "QUERY",
    "SECRET",
    "Secret",
    "names_secret",
    "repr_of",
    "veil",
    "without_password",
]

MASK = "***"

SECRET = Meta(extra={"secret": True})
Secret = Annotated[str, SECRET]
"""A string that no output shows, as a password; `Annotated[Other, SECRET]` is of another type."""

HEADERS: tuple[str, ...] = (
    "Authorization",
    "Cookie",
    "Proxy-Authorization",
    "Set-Cookie",
    "X-Access-Token",
    "X-Amz-Security-Token",
    "X-API-Key",
    "X-Auth-Token",
    "X-CSRF-Token",
    "X-Goog-API-Key",
    "X-Vault-Token",
)
"""Header fields that carry secrets, whatever the config says."""

QUERY: tuple[str, ...] = (
    "access_key",
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "client_assertion",
    "client_secret",
    "code",
    "credential",
    "id_token",
    "jwt",
    "key",
    "pass",
    "passwd",
    "password",
    "pwd",
    "refresh_token",
    "secret",
    "session",
    "session_id",
    "sessionid",
    "sig",
    "signature",
    "token",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Credential",
    "X-Goog-Signature",
)
"""Query parameters that carry secrets. Letter case, and `-` or `_`, make no difference."""

NAMES = re.compile(
    r"(?:.*_)?(?:secrets?|passwords?|passwd|passphrase|credentials?|private_key|signing_key|(?:api|hmac)_keys?|tokens?|bearer)"
)
FOLDED = frozenset(name.lower().replace("-", "_") for name in (*HEADERS, *QUERY)) - {"key", "code", "auth"}
ONE_REFERENCE = re.compile(r"\$\{[^{}]*\}")


URL_PASSWORD = re.compile(r"(?<=://)(?P<user>[^/@:]*):.*(?=@)")


def names_secret(name: str) -> bool:
    """Whether a setting or header field called so holds a secret, as far as its name tells."""
    folded = name.lower().replace("-", "_")
    return folded in FOLDED or NAMES.fullmatch(folded) is not None


def repr_of(name: str, value: object) -> str:
    """`repr(value)` of what is called `name`, without what is secret by its name."""
    if isinstance(value, str):
        return f"'{MASK}'" if names_secret(name) and value else repr(value)
    if isinstance(value, dict):
        secret = name if names_secret(name) else ""
        return (
            "{"
            + ", ".join(f"{key!r}: {repr_of(secret or str(key), item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, (list, tuple)):
        items = ", ".join(repr_of(name, item) for item in value)
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' if len(value) == 1 else ''})"
    return repr(value)


def veil(template: str | None) -> str:
    """How a secret is shown: by its reference, if that is all that stands there."""
    return template if template is not None and ONE_REFERENCE.fullmatch(template) else MASK


def without_password(text: str) -> str:
    """`text`, if it is a URL with the password of a user in it, without that."""
    return URL_PASSWORD.sub(rf"\g<user>:{MASK}", text, count=1)
