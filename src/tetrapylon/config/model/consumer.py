"""Who requests may be from (leaf)."""

from __future__ import annotations

from typing import Annotated

from tetrapylon.config.model.base import Section, Text, doc
from tetrapylon.config.model.credentials import ConsumerName, Group, KeyHash, PasswordHash, Secret, Subject
from tetrapylon.config.net import HeaderValue


class Consumer(Section, frozen=True, kw_only=True):
    """Somebody whose requests are known by what they show; policies such as `api_key` ask for it."""

    name: Annotated[
        ConsumerName, doc("The name, for logs, limits and upstreams; that of `basic`'s user, too.")
    ]
    api_keys: Annotated[
        tuple[KeyHash, ...],
        doc("For `api_key`: the SHA-256 of each key, as `printf %s KEY | sha256sum` prints it."),
    ] = ()
    passwords: Annotated[
        tuple[PasswordHash, ...], doc("For `basic`: hashes of passwords, by Argon2 or bcrypt.")
    ] = ()
    hmac_keys: Annotated[
        dict[ConsumerName, Secret], doc("For `hmac`: secrets that requests are signed with, by key id.")
    ] = {}
    subjects: Annotated[
        tuple[Subject, ...], doc("For `mtls`: subjects of client certificates (RFC 4514), as they are.")
    ] = ()
    groups: Annotated[tuple[Group, ...], doc("For `acl`, and for upstreams.")] = ()
    metadata: Annotated[dict[Text, HeaderValue], doc("More values that upstreams can be sent.")] = {}
