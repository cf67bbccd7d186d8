"""The little of an X.509 certificate that a config is checked by: its names and its dates (leaf).

The ssl module has no public way to read them. Verifying is OpenSSL's; this reads the gateway's own.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

__all__ = ["Certificate", "first"]

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

# ASN.1 tags (X.690, 8.1.2); a context's own tag [n] is CONTEXT + n, constructed or not.
SEQUENCE, BOOLEAN, OCTETS, OID, UTC_TIME = 0x30, 0x01, 0x04, 0x06, 0x17
CONTEXT = 0x80
CONSTRUCTED = 0x20
SUBJECT_ALT_NAME = bytes([0x55, 0x1D, 0x11])  # 2.5.29.17
DNS_NAME, IP_NAME = CONTEXT + 2, CONTEXT + 7  # GeneralName (RFC 5280, 4.2.1.6)


class Certificate(NamedTuple):
    """`names`: DNS names in lower case, wildcards among them, and IP addresses."""

    names: tuple[str, ...]
    begins: datetime
    ends: datetime


def first(pem: str) -> Certificate:
    """The first certificate of a PEM file, which is the server's own. Raises ValueError."""
    found = PEM.search(pem)
    if found is None:
        raise ValueError("holds no certificate in PEM form")
    try:
        return _read(ssl.PEM_cert_to_DER_cert(found[0]))
    except (ValueError, IndexError, StopIteration):
        raise ValueError("holds a certificate that cannot be read") from None


def _read(der: bytes) -> Certificate:
    """Certificate and TBSCertificate of RFC 5280, 4.1."""
    tbs = _inside(_inside(der))
    parts = list(_items(tbs))
    if parts[0][0] == CONTEXT + CONSTRUCTED:  # version
        del parts[0]
    begins, ends = (_time(tag, value) for tag, value in _items(parts[3][1]))
    names: tuple[str, ...] = ()
    for tag, value in parts[6:]:
        if tag == CONTEXT + CONSTRUCTED + 3:
            names = tuple(_names(_inside(value)))
    return Certificate(names, begins, ends)


def _names(extensions: bytes) -> Iterator[str]:
    for _, extension in _items(extensions):
        (_, kind), *_, (_, value) = _items(extension)
        if kind != SUBJECT_ALT_NAME:
            continue
        for tag, name in _items(_inside(value)):
            if tag == DNS_NAME:
                yield name.decode("ascii").lower()
            elif tag == IP_NAME:
                yield str(ip_address(name))


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii")
    if tag == UTC_TIME:  # of the years 1950 to 2049 (RFC 5280, 4.1.2.5.1)
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _inside(der: bytes) -> bytes:
    return next(_items(der))[1]


def _items(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value in turn (X.690, 8.1)."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(der[at : at + count], "big")
            at += count
        if at + length > len(der):
            raise ValueError("a value ends beyond its parent")
        yield tag, der[at : at + length]
        at += length
