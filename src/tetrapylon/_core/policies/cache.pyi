"""`cache`: answers that are kept and given again (RFC 9111)."""

from asyncio import AbstractEventLoop
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import Struct
from typing_extensions import disjoint_base

from tetrapylon._core.caching.coalesce import Errand
from tetrapylon._core.caching.sharing import Sharing
from tetrapylon._core.caching.store import Store
from tetrapylon._core.exchange import Destination
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.upstreams.call import Call, CallStages
from tetrapylon.config.amounts import KeyPart, RedisUrl, StoreTimeout
from tetrapylon.config.model import Config
from tetrapylon.config.model.base import Text, doc
from tetrapylon.config.net import HeaderName
from tetrapylon.config.units import Duration, Share, Size
from tetrapylon.stores.redis_answers import SharedAnswers

class Settings(Struct, frozen=True, kw_only=True):
    """Keeps answers and gives them again, as RFC 9111 says of a shared cache.

    What may be kept, and for how long, is the upstream's to say: `Cache-Control`, `Expires`, `Vary`. Never
    kept are answers with `Set-Cookie`, parts (206), what is cut short or comes from a `split`. Requests
    of which it is known who asks (`Authorization`, or a consumer) get, and leave, only what is `public`,
    `s-maxage` or `must-revalidate`. `Cache-Status` (RFC 9211) tells what was done. Each worker has a store of
    its own, in memory, and machines may share one in Redis besides. Many misses of one URI at once are one
    request of each worker to the upstream. A request that may
    change something (POST, PUT, DELETE ...) and succeeds ends what is kept of its URI, in all workers.

    List it behind what says who may ask: a policy that comes after it is not asked again.
    """

    size: Annotated[
        Size, doc("Of the store, in each worker; places with the same `name` and `size` share one.", ge=65536)
    ] = 64 * 1024 * 1024
    max_object: Annotated[Size, doc("Larger bodies are not kept.", ge=1)] = 1024 * 1024
    name: Annotated[Text, doc("Of the store, in metrics and purges.")] = "default"
    ttl: Annotated[
        Duration, doc("How long an answer that says nothing of it is fresh; `0s`: it is not kept.")
    ] = 0.0
    heuristic: Annotated[
        Share,
        doc(
            "Or, of one with `Last-Modified`, this share of its age then, a day at most"
            " (RFC 9111 section 4.2.2)."
        ),
    ] = 0.0
    key: Annotated[
        tuple[KeyPart, ...],
        doc("What tells answers apart besides the URI and `Vary`: `consumer`, `header:NAME`, `client`."),
    ] = ()
    store: Annotated[
        Literal["memory", "redis"],
        doc("`memory`: each worker has its own alone; `redis`: all machines share what is kept there, too."),
    ] = "memory"
    redis: Annotated[RedisUrl | None, doc("Where it is, with `store: redis`.")] = None
    timeout: Annotated[
        StoreTimeout,
        doc("Redis is away when it takes longer; until it is back, workers go by what they have themselves."),
    ] = 0.05
    recheck: Annotated[
        Duration,
        doc("How long a worker uses what it has before it asks Redis again; purges reach all in that time."),
    ] = 1.0
    obey_clients: Annotated[
        bool,
        doc("Whether a client's `Cache-Control` counts: `false` keeps it from asking the upstream at will."),
    ] = True
    stale_while_revalidate: Annotated[
        Duration,
        doc("How long an answer is given after its time while it is asked for anew, where it does not say."),
    ] = 0.0
    stale_if_error: Annotated[
        Duration,
        doc("And where the upstream fails or answers 500, 502, 503 or 504 (RFC 5861)."),
    ] = 0.0
    wait: Annotated[
        Duration,
        doc("How long a request waits for the answer to another one of the same URI; `0s`: not at all."),
    ] = 5.0
    tags: Annotated[
        HeaderName | None,
        doc("The field in which the upstream tells tags to purge by; clients do not get it."),
    ] = "Cache-Tag"
    status: Annotated[bool, doc("Tell clients in `Cache-Status`.")] = True

_Settings: TypeAlias = Settings

@disjoint_base
class Refresh(Call):
    """A request of the cache's own, for what is stale."""

    def go(self) -> None: ...

@disjoint_base
class StandIn(Destination):
    """What is stored, in place of an error of the origin."""

@disjoint_base
class Cache(Sharing):
    """The policy of one route. `place` tells apart routes that share a store."""

    Settings: ClassVar[type[_Settings]]

    def __init__(
        self,
        settings: _Settings,
        store: Store,
        calls: CallStages,
        slab: Slab,
        loop: AbstractEventLoop,
        place: str,
        status: str,
        reactor: Reactor,
        shared: SharedAnswers | None = None,
    ) -> None:
        """`status` is the name in `Cache-Status`."""

    @staticmethod
    def build(settings: _Settings, scope: Any) -> Cache:
        """For a route of the gateway that `scope` is about."""

    @staticmethod
    def check(settings: _Settings, config: Config) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """What the types cannot tell; see `Policy`."""

    def settle(self, leader: Errand) -> None:
        """Its answer is there, or will not come: those who wait are told."""
