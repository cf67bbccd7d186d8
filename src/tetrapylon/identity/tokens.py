"""JSON Web Tokens: which are believed, and why the others are not.

The envelope is read strictly and by type; keys, signatures and the registered claims are joserfc's.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from typing import Any, NamedTuple

import msgspec
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError, SecurityWarning
from joserfc.jwk import ECKey, JWKRegistry, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import JWTClaimsRegistry
from joserfc.util import urlsafe_b64decode
from msgspec import UNSET, Struct, UnsetType

__all__ = ["BadKey", "Keys", "Refused", "Verified", "Verifier", "read_jwks", "read_pem", "secret_key"]

Key = ECKey | OctKey | OKPKey | RSAKey
WEAKEST_RSA = 2048
MOST_KEYS = 1000
MOST_TRIED = 8
"""Keys that a token without `kid` is held against."""


class Refused(Exception):
    """A token that is not believed. `reason` is one of the words that are counted; nothing of the token."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class BadKey(ValueError):
    """Keys that cannot be used."""


class Verified(NamedTuple):
    """What a token says, and until when (seconds since the epoch, with leeway; None: for ever)."""

    claims: dict[str, Any]
    ends: float | None


class Header(Struct, frozen=True):
    """RFC 7515 section 4.1. Keys that a token brings along (`jwk`, `jku`, `x5c` ...) are never looked at."""

    alg: str
    kid: str | UnsetType = UNSET
    cty: str | UnsetType = UNSET
    crit: Any = UNSET
    b64: Any = UNSET


HEADER = msgspec.json.Decoder(Header)
CLAIMS = msgspec.json.Decoder(dict[str, Any])


class Keys:
    """Keys by id, for some algorithms. A key serves only the algorithms of its own type and curve."""

    def __init__(self, keys: Iterable[Key] = (), algorithms: Sequence[str] = ()) -> None:
        self.algorithms = frozenset(algorithms)
        self._named: dict[tuple[str, str], list[Key]] = {}
        self._all: dict[str, list[Key]] = {}
        for key in keys:
            for name in algorithms:
                try:
                    JWSRegistry.algorithms[name].check_key(key)
                    key.check_key_op("verify")
                except JoseError:
                    continue
                self._all.setdefault(name, []).append(key)
                if key.kid is not None:
                    self._named.setdefault((name, key.kid), []).append(key)

    def __len__(self) -> int:
        return len({id(key) for keys in self._all.values() for key in keys})

    def find(self, algorithm: str, kid: str | UnsetType) -> Sequence[Key]:
        """The keys that may have signed it; none: no such key is known."""
        if isinstance(kid, UnsetType):
            return self._all.get(algorithm, [])[:MOST_TRIED]
        every = self._all.get(algorithm, [])
        found = self._named.get((algorithm, kid), [])
        if not found and len(every) == 1 and every[0].kid is None:
            return every  # the one key of a config that gives none an id
        return found


class Verifier:
    """What a token must be to be believed. `keys` may be replaced at any time."""

    def __init__(
        self,
        keys: Keys,
        *,
        issuers: Sequence[str] = (),
        audiences: Sequence[str] = (),
        leeway: float = 0,
        required: Iterable[str] = (),
        claims: Mapping[str, Sequence[Any]] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys
        self._leeway = ceil(leeway)
        options: dict[str, Any] = {name: {"essential": True, "allow_blank": True} for name in required}
        options |= {
            name: {"essential": True, "values": list(allowed)} for name, allowed in (claims or {}).items()
        }
        if issuers:
            options["iss"] = {"essential": True, "values": list(issuers)}
        if audiences:
            options["aud"] = {"essential": True, "values": list(audiences)}
        self._registry = JWTClaimsRegistry(now=lambda: int(now()), leeway=ceil(leeway), **options)

    def verify(self, token: bytes) -> Verified:
        """Raises Refused; `unknown_key` when no key is known by the token's `kid`."""
        parts = token.split(b".")
        if len(parts) != 3:
            raise Refused("encrypted" if len(parts) == 5 else "malformed")  # RFC 7516 section 3.1
        header = _read(HEADER, parts[0])
        if header.crit is not UNSET or header.b64 is not UNSET:
            raise Refused("malformed")  # RFC 7515 section 4.1.11: nothing critical is understood here
        if not isinstance(header.cty, UnsetType) and header.cty.lower().endswith("jwt"):
            raise Refused("nested")  # RFC 7519 section 5.2
        if header.alg not in self.keys.algorithms:
            raise Refused("algorithm")
        keys = self.keys.find(header.alg, header.kid)
        if not keys:
            raise Refused("unknown_key")
        algorithm = JWSRegistry.algorithms[header.alg]
        signature = _decoded(parts[2])
        signed = parts[0] + b"." + parts[1]
        if not any(algorithm.verify(signed, signature, key) for key in keys):
            raise Refused("signature")
        return self._judged(_read(CLAIMS, parts[1]))

    def _judged(self, claims: dict[str, Any]) -> Verified:
        try:
            self._registry.validate(claims)
        except ExpiredTokenError:
            raise Refused("expired") from None
        except MissingClaimError:
            raise Refused("missing_claim") from None
        except InvalidClaimError as error:
            raise Refused(REASONS.get(error.claim, "claim")) from None
        ends = claims.get("exp")
        return Verified(claims, None if ends is None else min(float(min(ends, FAR)), FAR) + self._leeway)


FAR = 1e11
"""Further away than any clock will say: a number of seconds that floats have no trouble with."""
REASONS = {
    "nbf": "not_yet_valid",
    "iat": "not_yet_valid",
    "iss": "issuer",
    "aud": "audience",
    "exp": "expired",
}


def _decoded(part: bytes) -> bytes:
    try:
        return urlsafe_b64decode(part)
    except ValueError:
        raise Refused("malformed") from None


def _read(decoder: msgspec.json.Decoder[Any], part: bytes) -> Any:
    try:
        return decoder.decode(_decoded(part))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise Refused("malformed") from None


# Keys


def read_jwks(data: bytes, *, secrets: bool = False) -> list[Key]:
    """The keys of a JWK Set (RFC 7517) that tokens can be verified with.

    Keys of a kind that is not understood, or that are meant for something else, are left out, as RFC 7517
    section 5 asks. `secrets` takes symmetric keys too: never from a place that others can read. Raises
    BadKey.
    """
    try:
        found = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise BadKey("it is not JSON; expected a JWK Set (RFC 7517)") from None
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise BadKey("it has no list of `keys`; expected a JWK Set (RFC 7517)")
    if len(entries) > MOST_KEYS:
        raise BadKey(f"it has more than {MOST_KEYS} keys")
    keys = [key for entry in entries if (key := _read_jwk(entry, secrets)) is not None]
    if not keys:
        raise BadKey("none of its keys can verify a signature; expected one of kty RSA, EC or OKP")
    return keys


def _read_jwk(entry: object, secrets: bool) -> Key | None:
    if not isinstance(entry, dict) or (entry.get("kty") == "oct" and not secrets):
        return None
    if entry.get("use", "sig") != "sig":
        return None
    try:
        with _quiet():
            key = JWKRegistry.import_key(entry)
        usable(key)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key


@contextmanager
def _quiet() -> Iterator[None]:
    """What joserfc warns of, `usable` refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        yield


def read_pem(data: bytes) -> Key:
    """A public key or certificate in PEM form. Raises BadKey."""
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            with _quiet():
                key = kind.import_key(data)
        except (JoseError, ValueError, TypeError):
            continue
        usable(key)
        if key.is_private:
            raise BadKey("it is a private key, which the gateway has no use for; expected the public one")
        return key
    raise BadKey("it is no public key; expected PEM, as `openssl pkey -pubout` writes it")


def secret_key(secret: str, algorithms: Iterable[str]) -> Key:
    """A secret for HS256, HS384 or HS512. Raises BadKey."""
    least = max((int(name[2:]) // 8 for name in algorithms if name.startswith("HS")), default=0)
    if len(secret.encode()) < least:
        # RFC 7518 section 3.2
        raise BadKey(f"the secret is shorter than the {least} bytes that the algorithm's hash has")
    return OctKey.import_key(secret)


def usable(key: Key) -> None:
    """Raises BadKey for a key that anybody could break."""
    if isinstance(key, RSAKey) and key.raw_value.key_size < WEAKEST_RSA:
        raise BadKey(f"an RSA key of fewer than {WEAKEST_RSA} bits can be broken")
