"""One client connection's worth of fuzz: what is said, what must come of it. Made of a seed and a number."""

import json
import random
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz import drafts, requests, responses
from tests.fuzz.reference import Meant, Rest, Told, read_requests, read_response


@dataclass
class RequestCase:
    """`parts` are said to the gateway one behind the other, cut into writes at `cuts`; `musts` are right."""

    name: str
    parts: list[bytes]
    musts: list[bool]
    cuts: list[int] = field(default_factory=list)
    mutations: list[list[str]] = field(default_factory=list)
    transport: bool = False

    def __post_init__(self) -> None:
        self.meant: list[Meant]
        self.rest: Rest
        self.last: bytes
        self.meant, self.rest, self.last = read_requests(b"".join(self.parts))
        right = self.musts.index(False) if False in self.musts else len(self.musts)
        self.right = min(right, len(self.meant))
        """So many, from the first on, have to be answered."""
        for index, one in enumerate(self.meant):
            one.keys.append(f"{self.name}.{index}")


@dataclass
class ResponseCase:
    """Right requests, and what an upstream says to each, cut into writes at `cuts`."""

    name: str
    asked: list[responses.Asked]
    cuts: list[list[int]]
    transport: bool = False

    def __post_init__(self) -> None:
        self.told: list[Told] = [read_response(one.said, one.method) for one in self.asked]

    def stream(self) -> bytes:
        out = []
        for index, one in enumerate(self.asked):
            head = f"{one.method} /k/{self.name}.{index} HTTP/1.{one.minor}\r\n"
            head += f"Host: a.test\r\nX-Key: {self.name}.{index}\r\n"
            head += "Connection: Upgrade\r\nUpgrade: fuzz\r\n" if one.upgrade else ""
            head += "Content-Length: 2\r\n\r\nok" if one.method == "POST" else "\r\n"
            out.append(head.encode())
        return b"".join(out)


Case = RequestCase | ResponseCase


def request_case(seed: int, number: int) -> RequestCase:
    rng = random.Random(f"requests {seed} {number}")
    made = requests.sequence(rng, f"q{number}")
    parts = [one.render() for one in made]
    return RequestCase(
        f"q{number}",
        parts,
        [one.must for one in made],
        drafts.cuts(rng, sum(map(len, parts))),
        [one.mutations for one in made],
        rng.random() < 0.15,
    )


def response_case(seed: int, number: int) -> ResponseCase:
    rng = random.Random(f"responses {seed} {number}")
    asked = responses.sequence(rng, f"p{number}")
    return ResponseCase(
        f"p{number}", asked, [drafts.cuts(rng, len(one.said)) for one in asked], rng.random() < 0.15
    )


def save(case: Case, path: Path) -> None:
    """As JSON, bytes as latin-1, for `--replay`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = asdict(case)
    path.write_text(json.dumps(plain, indent=1, default=lambda data: data.decode("latin-1")))


def load(path: Path) -> Case:
    plain: dict[str, Any] = json.loads(path.read_text())
    if "parts" in plain:
        plain["parts"] = [part.encode("latin-1") for part in plain["parts"]]
        return RequestCase(**plain)
    for one in plain["asked"]:
        one["said"] = one["said"].encode("latin-1")
    plain["asked"] = [responses.Asked(**one) for one in plain["asked"]]
    return ResponseCase(**plain)
