"""`server_timing`: how long the gateway and the upstream took, in the answer itself."""

from typing import Annotated, ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc
from tetrapylon.config.net import HeaderName

class Settings(Struct, frozen=True, kw_only=True):
    """Tells how long the gateway and the upstream took, in milliseconds, as browsers show it (W3C Server
    Timing): up to the first byte of the answer, beside what the upstream says of its own times."""

    asked_by: Annotated[
        HeaderName | None,
        doc("Only answers to requests with this field tell; none: all do. Times help attackers to measure."),
    ] = None

_Settings = Settings

@disjoint_base
class ServerTiming(Policy):
    """Adds `Server-Timing` to the answer's head; its times are those of that moment."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ...) -> None: ...
