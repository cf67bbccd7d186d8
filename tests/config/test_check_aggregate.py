"""Parts of an aggregate that cannot go together are refused where they stand."""

import pytest

from tetrapylon.config import loads
from tetrapylon.errors import ConfigError, Problem

UPSTREAMS = "upstreams: {users: {targets: ['http://127.0.0.1:1']}}\n"


def refused(parts: str, more: str = "") -> Problem:
    text = UPSTREAMS + f"routes:\n  - path: /users/{{id}}\n    {more}\n    aggregate: {parts}\n"
    with pytest.raises(ConfigError) as error:
        loads(text, "gateway.yaml")
    (problem,) = error.value.problems
    assert problem.line is not None
    return problem


def test_what_the_issue_shows_is_fine() -> None:
    text = (
        UPSTREAMS + 'routes: [{path: "/u/{id}", aggregate: {user: {upstream: users, path: "/users/{id}"}}}]'
    )
    (route,) = loads(text, "gateway.yaml").routes
    assert route.aggregate is not None
    assert route.upstreams == ("users",)


A = "a: {upstream: users, path: /a"


@pytest.mark.parametrize(
    ("parts", "path", "said"),
    [
        ("{}", "", "there are no parts"),
        ("{a-b: {upstream: users, path: /}}", ".a-b", "no name of a part"),
        ("{a: {upstream: user, path: /}}", ".a.upstream", "did you mean 'users'?"),
        ("{a: {upstream: users}}", ".a", "`path` is missing"),
        ("{a: {upstream: users, path: x}}", ".a.path", "begins with /"),
        ("{a: {upstream: users, path: //x}}", ".a.path", "begins with /"),
        ("{a: {upstream: users, path: '/a b'}}", ".a.path", "percent-encoded"),
        ("{a: {upstream: users, path: '/{'}}", ".a.path", "a stray brace"),
        ("{a: {upstream: users, path: '/{ids}'}}", ".a.path", "did you mean {id}?"),
        ("{a: {upstream: users, path: '/{a.x}'}}", ".a.path", "is of the part itself"),
        (f"{{{A}}}, bc: {{upstream: users, path: '/{{a}}'}}}}", ".bc.path", "such as {a.id}"),
        ("{user: {upstream: users, path: /}, a: {upstream: users, path: '/{users.x}'}}",
         ".a.path", "did you mean {user.x}?"),
        (f"{{{A}, pick: [a..b]}}}}", ".a.pick[0]", "empty name"),
        (f"{{{A}, pick: ['items[0]']}}}}", ".a.pick[0]", "through arrays by itself"),
        (f"{{{A}, pick: [x, x.y]}}}}", ".a.pick[1]", "picked as a whole"),
        (f"{{{A}, pick: [x, x]}}}}", ".a.pick[1]", "picked twice"),
        (f"{{{A}, pick: [x], drop: [y]}}}}", ".a.drop[0]", "not within what is picked"),
        (f"{{{A}, drop: [x], rename: {{x.y: z}}}}}}", '.a.rename["x.y"]', "is dropped"),
        (f"{{{A}, pick: [x], rename: {{y: z}}}}}}", ".a.rename.y", "is not picked"),
        (f"{{{A}, rename: {{x: z, y: z}}}}}}", ".a.rename.y", "choose another name"),
        (f"{{{A}, default: 1}}}}", ".a.default", "needs no default"),
        (f"{{{A}, default: 1, required: false, flatten: true}}}}", ".a.default", "expected a mapping"),
        (f"{{{A}, body: true}}}}", ".a.body", "a GET sends no body"),
        (f"{{{A}, method: HEAD}}}}", ".a.method", "expected GET"),
        (f"{{{A}, forward: [Host]}}}}", ".a.forward[0]", "the gateway sets Host itself"),
        (f"{{{A}, forward: [Range]}}}}", ".a.forward[0]", "no whole answer"),
        (f"{{{A}, pass_through: [500]}}}}", ".a.pass_through[0]", "400 to 499"),
        (f"{{{A}, policies: [{{use: cors, origins: ['https://a.test']}}]}}}}", ".a.policies[0]", "the route"),
        (f"{{{A}, group: b}}, b: {{upstream: users, path: /}}}}", ".a.group", "is the member of a part"),
        (f"{{{A}, requierd: false}}}}", ".a.requierd", "did you mean `required`?"),
        ("{a: {upstream: users, path: '/{b.x}'}, b: {upstream: users, path: '/{c.x}'},"
         " c: {upstream: users, path: '/{a.x}'}}", ".a.path", "wait for each other: a -> b -> c -> a"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_where_it_stands(parts: str, path: str, said: str) -> None:
    problem = refused(parts)
    assert problem.path == f"routes[0].aggregate{path}"
    assert said in str(problem)


def test_policies_of_a_part_are_checked_as_others_are() -> None:
    problem = refused(
        "{a: {upstream: users, path: /, policies: [{use: headers, request: {set: {X: '{id}'}}}]}}"
    )
    assert problem.path == "routes[0].aggregate.a.policies[0].request.set.X"
    assert "means nothing here" in str(problem)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ("timeouts: {response: 1s}", "routes[0].timeouts"),
        ("rewrite: /x", "routes[0].rewrite"),
        ("upstream: users", "routes[0].aggregate"),
    ],
)
def test_what_is_for_one_upstream_is_not_for_several(more: str, path: str) -> None:
    assert refused("{a: {upstream: users, path: /}}", more).path == path
