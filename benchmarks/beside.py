"""CPU time a request of one gateway beside others': interleaved rounds, ratios within a round."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

from .e2e.load import Loading, Scenario
from .e2e.process import Gateway
from .e2e.workshop import Workshop
from .peers import Peer


def started(stack: ExitStack, workshop: Workshop, peers: Iterable[Peer], upstream: int) -> list[Gateway]:
    """All of them running, in front of the upstream at this port, until the stack ends."""
    run = workshop.build / "run"
    return [
        stack.enter_context(
            Gateway(
                peer,
                workshop.program(peer),
                upstream,
                run / peer.name.replace(" ", "-"),
                path=workshop.path,
            )
        )
        for peer in peers
    ]


def costs(
    workshop: Workshop,
    gateways: Sequence[Gateway],
    asking: Callable[[Peer], Scenario],
    rounds: int,
    seconds: float,
) -> tuple[dict[str, list[float]], int]:
    """Microseconds a request, of each round by the peer's name; and how many requests failed."""
    found: dict[str, list[float]] = {gateway.peer.name: [] for gateway in gateways}
    failures = 0
    for number in range(rounds):
        for gateway in gateways:
            loading = Loading(
                workshop.load,
                gateway.port,
                asking(gateway.peer),
                seconds=seconds,
                pids=gateway.pids(),
            )
            sample = loading.result()
            failures += sample.failures
            found[gateway.peer.name].append(sample.cpu_per_request)
        print(f"round {number + 1}:", ", ".join(f"{name} {cost[-1]:.1f} us" for name, cost in found.items()))
    return found, failures


def met(found: Mapping[str, Sequence[float]], failures: int, ours: str, bars: Mapping[str, float]) -> bool:
    """Prints the ratios, and whether each is within its bar: what ours may be at most, in parts of theirs."""
    fine = not failures
    for name, most in bars.items():
        ratios = [own / their for own, their in zip(found[ours], found[name], strict=True)]
        ratio = statistics.median(ratios)
        fine = fine and ratio <= most
        print(
            f"CPU a request {ratio:.3f} x {name}'s ({min(ratios):.3f} to {max(ratios):.3f}):"
            f" bar {most:g} {'met' if ratio <= most else 'NOT MET'}"
        )
    print(f"{failures} requests failed")
    return fine
