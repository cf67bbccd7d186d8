"""`compress`: responses in a content coding that the client likes (RFC 9110 section 8.4)."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.exchange import Filter
from tetrapylon._core.http.negotiate import CODINGS_BY_NAME as CODINGS_BY_NAME
from tetrapylon._core.policy import Policy
from tetrapylon.config.model.base import doc
from tetrapylon.config.units import Size

class Settings(Struct, frozen=True, kw_only=True):
    """Compresses responses on their way to clients that accept it, as they come: events are not held up."""

    codings: Annotated[
        tuple[Literal["gzip", "br", "zstd"], ...],
        doc(
            "Which ones, the preferred one first; `br` and `zstd` need `pip install tetrapylon[compress]`.",
            min_length=1,
        ),
    ] = ("gzip",)
    types: Annotated[
        tuple[str, ...], doc("Media types worth it; `text/*` takes all of a kind, `*+json` all of a suffix.")
    ] = (
        "text/*",
        "application/json",
        "application/javascript",
        "application/xml",
        "application/wasm",
        "application/manifest+json",
        "image/svg+xml",
        "*+json",
        "*+xml",
    )
    min_size: Annotated[Size, doc("Bodies known to be smaller stay as they are.")] = 1024
    effort: Annotated[Literal["fast", "balanced", "small"], doc("How hard to try: time against bytes.")] = (
        "fast"
    )

_Settings = Settings

@disjoint_base
class Compressing(Filter):
    """A body on its way into a coding."""

@disjoint_base
class Compress(Policy):
    """Compresses responses on their way to clients that like it."""

    Settings: ClassVar[type[_Settings]]

    def __init__(self, settings: _Settings = ...) -> None: ...
    @staticmethod
    def check(settings: _Settings, config: Any) -> Iterator[tuple[tuple[Any, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""
