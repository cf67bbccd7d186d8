"""What client, upstream and user code of a run agree on: marks, bodies, and how a request says what it wants.

A mark names one request; whatever belongs to it is made of its mark, so that a byte that went astray tells.
"""

import json
import re
from urllib.parse import parse_qs

MARK = re.compile(rb"\bi[0-9]+x[0-9]+i\b|\bk[0-9]+k\b")
GZIP = "gzip"
SECRET = "secret"  # the member that `transform` drops


def mark(conversation: int, index: int) -> str:
    return f"i{conversation}x{index}i"


def cached_mark(key: int) -> str:
    """Of an answer that a cache may give to other requests for the same key."""
    return f"k{key}k"


def payload(name: str, size: int) -> bytes:
    """JSON of about that size, all of it marked."""
    whole = {"id": name, SECRET: name, "pad": [name] * (size // (len(name) + 3))}
    return json.dumps(whole, separators=(",", ":")).encode()


def strangers(said: bytes, name: str) -> set[bytes]:
    """Marks of other requests."""
    return set(MARK.findall(said)) - {name.encode()}


def wanted(target: str) -> dict[str, str]:
    """The query of a target; the last of each name."""
    return {key: values[-1] for key, values in parse_qs(target.partition("?")[2]).items()}
