"""`fault`: delays and errors on a share of the requests."""

import asyncio
from collections.abc import Iterator
from random import random as random
from typing import Any, ClassVar, Self

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy

class Settings(Struct, frozen=True, kw_only=True):
    """Delays and errors on a share of the requests, to see what they do to those who depend on them."""

    delay: float | None = None
    delay_share: float = 1.0
    abort: int | None = None
    abort_share: float = 1.0

_Settings = Settings

@disjoint_base
class Fault(Policy):
    """Delays and errors on a share of the requests, to see what they do to those who depend on them."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings, loop: asyncio.AbstractEventLoop) -> None: ...
    @classmethod
    def build(cls, settings: _Settings, scope: Any) -> Self: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[str, ...], str, str]]: ...
