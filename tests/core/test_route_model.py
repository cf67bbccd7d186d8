"""The compiled table against a plain matcher that tries every route."""

import re
from itertools import combinations
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tetrapylon._core.routing.route import NotAllowed, RouteConflict, RouteMatch, Router

A_UUID = "550e8400-e29b-41d4-a716-446655440000"
KINDS = {
    "int": r"[0-9]{1,18}",
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "str": r"[^/]+",
    "path": r".*",
}
RANKS = {"int": 1, "uuid": 1, "str": 2, "path": 3}


class Rule(NamedTuple):
    segments: tuple[str, ...]
    methods: tuple[str, ...]
    host: str | None
    headers: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        """A segment in braces names its kind alone; here it gets a name too."""
        return "".join(
            f"/{{p{i}:{s[1:-1]}}}".replace(":str", "") if s.startswith("{") else f"/{s}"
            for i, s in enumerate(self.segments)
        )

    @property
    def shape(self) -> tuple[object, ...]:
        return (self.segments, self.host)

    @property
    def rank(self) -> tuple[int, int]:
        return (-len(self.headers), -sum(value != "*" for _, value in self.headers))

    @property
    def precedence(self) -> tuple[object, ...]:
        kinds = [RANKS[s[1:-1]] if s.startswith("{") else 0 for s in self.segments]
        host = (2, 0) if self.host is None else (1, -len(self.host)) if "*" in self.host else (0, 0)
        return (kinds, host, self.rank, not self.methods, "HEAD" not in self.methods)

    def takes(self, request: "Request", *, method: bool = True) -> bool:
        pattern = "".join(
            "/" + (f"({KINDS[s[1:-1]]})" if s.startswith("{") else re.escape(s)) for s in self.segments
        )
        if not re.fullmatch(pattern, request.path):
            return False
        if self.host is not None and not (
            request.host.endswith(self.host[1:]) and request.host != self.host[1:]
            if self.host.startswith("*")
            else request.host == self.host
        ):
            return False
        if any(name not in request.headers for name, _ in self.headers):
            return False
        if any(value not in ("*", request.headers[name]) for name, value in self.headers):
            return False
        if not method or not self.methods or request.method in self.methods:
            return True
        return request.method == "HEAD" and "GET" in self.methods

    def clashes(self, other: "Rule") -> bool:
        """Equally specific, and some request meets both."""
        if (self.shape, self.rank, not self.methods) != (other.shape, other.rank, not other.methods):
            return False
        if self.methods and not set(self.methods) & set(other.methods):
            return False
        mine, theirs = dict(self.headers), dict(other.headers)
        return all(
            mine[name] == theirs[name] or "*" in (mine[name], theirs[name]) for name in mine.keys() & theirs
        )


class Request(NamedTuple):
    method: str
    path: str
    host: str
    headers: dict[str, str]


literals = st.sampled_from(["a", "b", "ab", "5"])
segments = st.one_of(literals, literals, st.sampled_from(["{int}", "{uuid}", "{str}"]))
patterns = st.builds(
    lambda body, end: (*body, *end),
    st.lists(segments, max_size=4),
    st.sampled_from([("a",), ("{str}",), ("{int}",), ("",), ("{path}",)]),
)
headers = st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.sampled_from(["1", "2", "*"]), max_size=2)
rules = st.builds(
    Rule,
    patterns,
    st.lists(st.sampled_from(["GET", "HEAD", "PUT", "BREW"]), unique=True, max_size=2).map(tuple),
    st.sampled_from([None, None, None, "a.com", "*.com", "*.a.com", "b.a.com"]),
    st.one_of(st.just(()), headers.map(lambda made: tuple(sorted(made.items())))),
)
requests = st.builds(
    Request,
    st.sampled_from(["GET", "HEAD", "PUT", "BREW", "OPTIONS", "DELETE"]),
    st.lists(st.sampled_from(["a", "b", "ab", "abc", "5", "55", A_UUID]), max_size=5).flatmap(
        lambda body: st.sampled_from(["/" + "/".join(body), "/" + "".join(f"{s}/" for s in body)])
    ),
    st.sampled_from(["", "com", "a.com", "b.a.com", "c.b.a.com", "d.org"]),
    st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.sampled_from(["1", "2", "3"]), max_size=2),
)


def compiled(table: list[Rule]) -> Router[Rule] | None:
    """None where routes cannot be told apart."""
    router = Router[Rule]()
    for rule in table:
        router.add(rule.path, rule, methods=rule.methods, host=rule.host, headers=dict(rule.headers))
    try:
        router.freeze()
    except RouteConflict:
        return None
    return router


@settings(max_examples=400, deadline=None)
@given(st.lists(rules, max_size=12), st.lists(requests, min_size=1, max_size=20))
def test_takes_what_the_plain_matcher_takes(table: list[Rule], asked: list[Request]) -> None:
    kept: list[Rule] = []
    for rule in table:
        if not any(rule.clashes(other) for other in kept):
            kept.append(rule)
    router = compiled(kept)
    assert router is not None
    for request in asked:
        found = router.match(*request)
        known = [rule for rule in kept if rule.takes(request, method=False)]
        taking = sorted((rule for rule in known if rule.takes(request)), key=lambda rule: rule.precedence)
        told = router.explain(*request, limit=100)
        assert [c.route.destination for c in told if c.wins] == taking[:1]
        assert len(told) == len(kept)
        if taking:
            assert isinstance(found, RouteMatch)
            assert found.destination == taking[0]
            values = iter(found.raw_params.values())
            filled = "".join(f"/{next(values) if s.startswith('{') else s}" for s in taking[0].segments)
            assert filled == request.path
        elif known:
            assert isinstance(found, NotAllowed)
            methods = {method for rule in known for method in rule.methods}
            assert set(found.allowed) == methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        else:
            assert found is None


@settings(max_examples=400, deadline=None)
@given(st.lists(rules, max_size=6))
def test_finds_the_conflicts_that_a_pairwise_look_finds(table: list[Rule]) -> None:
    assert (compiled(table) is None) == any(one.clashes(other) for one, other in combinations(table, 2))
