"""Aggregates: several upstreams are asked at once, or one after the other, and their JSON is put together."""

from collections.abc import Collection, Iterable
from typing import Final, final

from typing_extensions import disjoint_base

from tetrapylon._core.code.json_edit import Edit
from tetrapylon._core.exchange import Destination, Plan, Sink, Stages
from tetrapylon._core.http.respond import Refusal
from tetrapylon._core.http.template import Template
from tetrapylon._core.http.wire import Via
from tetrapylon._core.reactor import Reactor
from tetrapylon._core.stages import Pipeline
from tetrapylon._core.telemetry.counters import Slab
from tetrapylon._core.upstreams.call import Call

class PartStages(Pipeline):
    """The stages of parts that have policies of their own."""

def part_stages(reactor: Reactor, slab: Slab, via: Via) -> PartStages:
    """One serves all such parts of a gateway."""

@disjoint_base
class Part:
    """One of the requests that an answer is made of."""

    name: Final[str]

    def __init__(
        self,
        name: str,
        stages: Stages,
        plan: Plan,
        path: Template,
        *,
        slab: Slab,
        route: str,
        method: bytes = b"GET",
        fields: Iterable[tuple[int, tuple[bytes, ...], str]] = (),
        before: Iterable[int] = (),
        waits: int = 0,
        forward: Iterable[str] = (),
        sends_body: bool = False,
        required: bool = True,
        default: bytes | None = None,
        passes: Collection[int] = (),
        limit: int = 1048576,
        edit: Edit | None = None,
        flatten: bool = False,
        group: str | None = None,
    ) -> None:
        """`fields` are what the groups of `path` stand for: the index of another part, a path in its answer
        as `json_edit.split` gives it, and how the config writes it. `before` are the parts that wait for this
        one, `waits` how many it waits for itself. `forward` names fields of the client that it is told;
        `default` is JSON; `passes` are statuses with which its answer becomes the client's; `limit` in bytes.
        """

@disjoint_base
class Gathering:
    """What is known of one exchange's parts."""

@disjoint_base
class PartCall(Call):
    """The request of one part."""

@disjoint_base
class Intake(Sink):
    """Takes the request's body, where a part is sent it."""

class Failure(Refusal):
    """A required part has failed: problem+json that names it."""

@final
class Aggregate(Destination):
    """Asks its parts and answers with one JSON object.

    Each part whose answer is a 2xx with well-formed JSON becomes a member. A required part that fails is the
    end: 502, 503 or 504, with a problem that names it. Optional ones are left out or stand at their default,
    and `X-Partial` names them.
    """

    def __init__(self, parts: Iterable[Part], *, body_limit: int = 1048576) -> None:
        """`body_limit` in bytes: 413 beyond, where a part is sent the request's body."""
