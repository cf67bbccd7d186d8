"""`request_id`: one id for each request, known to the client, the upstream and the log."""

from typing import ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy

class Settings(Struct, frozen=True, kw_only=True):
    """What the config may set."""

    header: str = "X-Request-Id"
    """The field that carries the id, towards the upstream and back to the client."""
    trust: bool = False
    """Keep an id that any client sends, of at most 128 bytes; one of a trusted proxy is always kept."""

_Settings = Settings

@disjoint_base
class RequestId(Policy):
    """Gives each request an id of 32 hexadecimal digits."""

    Settings: ClassVar[type[_Settings]]
    stamps_all: ClassVar[bool]

    def __init__(self, settings: _Settings = ...) -> None: ...
