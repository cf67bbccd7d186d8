"""`traceparent`: W3C trace context, continued or started, and a span of each sampled request."""

from collections.abc import Callable
from typing import Annotated, ClassVar, NamedTuple, Protocol, Self

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc
from tetrapylon.config.units import Share

class Settings(Struct, frozen=True, kw_only=True):
    """Continues or starts a trace (W3C Trace Context): upstreams, logs and spans know the request by it.

    Spans of sampled requests are exported where `traces` says.
    """

    accept: Annotated[
        bool,
        doc("Whether to go on with a client's trace, as sampled there; if not, each request begins one."),
    ] = True
    sample: Annotated[Share, doc("The share of the traces begun here that is sampled.")] = 1.0

_Settings = Settings

class Span(NamedTuple):
    """A sampled request, once it is over. Times are nanoseconds since 1970; texts as on the wire."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    method: bytes
    route: str
    path: bytes
    host: bytes | None
    status: int
    start_ns: int
    end_ns: int
    client: bytes
    user_agent: bytes | None
    upstream: bytes | None
    upstream_ns: int
    resend_count: int
    consumer: str | None
    error: bytes | None

class _Scope(Protocol):
    def spans(self) -> Callable[[Span], object] | None: ...

@disjoint_base
class TraceParent(Policy):
    """Tells upstreams the trace that a request belongs to, in `traceparent` (W3C Trace Context)."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ..., put: Callable[[Span], object] | None = None) -> None:
        """`put` is given the span of each sampled request."""
    @classmethod
    def build(cls, settings: _Settings, scope: _Scope) -> Self: ...
