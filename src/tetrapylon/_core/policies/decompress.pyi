"""`decompress`: bodies without their content coding, for upstreams and clients that cannot read it."""

from typing import Annotated, ClassVar

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Filter
from tetrapylon._core.http.negotiate import NAMES as NAMES
from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import Count, doc
from tetrapylon.config.units import Size

class Settings(Struct, frozen=True, kw_only=True):
    """Decompresses requests for upstreams, and responses for clients that do not accept their coding."""

    requests: Annotated[bool, doc("Whether requests are; their bodies are held whole meanwhile.")] = True
    responses: Annotated[bool, doc("Whether responses are, for clients that cannot; as they come.")] = True
    max_request: Annotated[Size, doc("A request's body as it comes; larger: 413.")] = 1048576
    max_size: Annotated[Size, doc("A request's body once decompressed; larger: 413.")] = 8388608
    max_ratio: Annotated[
        Count, doc("How many times its size a body may come to, and 1 MiB more; beyond it is a bomb.")
    ] = 100

_Settings = Settings

@disjoint_base
class Decompressing(Filter):
    """A body on its way out of one."""

@disjoint_base
class Decompress(Policy):
    """Undoes content codings of requests and responses."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ...) -> None: ...
