"""What a config means, beyond its single values."""

import textwrap

import pytest

from tests.config.certificates import OWN
from tetrapylon.config import loads
from tetrapylon.config.net import METHODS, HostPort, UnixPath, listen_address, target_address
from tetrapylon.errors import ConfigError

UPSTREAM = (
    "upstreams: {users: {targets: [http://127.0.0.1:9000]}, orders: {targets: [http://127.0.0.1:9001]}}\n"
)


def fine(text: str) -> None:
    loads(textwrap.dedent(text), "g.yaml")


def said(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        loads(textwrap.dedent(text), "g.yaml")
    return [str(problem) for problem in error.value.problems]


def route(text: str) -> str:
    """The one problem of a config with this route on its second line."""
    (problem,) = said(f"{UPSTREAM}routes: [{{{text}}}]")
    assert problem.startswith("g.yaml:2:")
    return problem.partition("routes[0]")[2]


def routes(*texts: str) -> list[str]:
    return said(UPSTREAM + "routes:\n" + "".join(f"  - {{{text}}}\n" for text in texts))


@pytest.mark.parametrize(
    ("token", "told"),
    [("letmein", "the string has 7 characters; expected at least 16"), ("''", "the string is empty;")],
)
def test_a_token_that_is_too_short(token: str, told: str) -> None:
    (problem,) = said(f"admin: {{token: {token}}}")
    assert problem.startswith(f"g.yaml:1:16: admin.token: {told}")


class TestDestinations:
    def test_a_route_without_one(self) -> None:
        hint = "expected one of upstream, app, split, aggregate, handler, respond or redirect"
        assert route("path: /") == f": the route leads nowhere; {hint}"

    def test_a_route_with_two(self) -> None:
        assert route("path: /, upstream: users, respond: {}").startswith(
            ".respond: the route has `upstream` already"
        )

    def test_an_unknown_upstream(self) -> None:
        assert (
            route("path: /, upstream: usres")
            == ".upstream: there is no upstream 'usres'; did you mean 'users'?"
        )
        assert (
            route("path: /, upstream: xyz") == ".upstream: there is no upstream 'xyz'; expected orders, users"
        )

    def test_a_misspelt_destination_is_one_problem(self) -> None:
        assert route("path: /, upstreem: users") == ".upstreem: unknown key; did you mean `upstream`?"

    def test_an_unknown_app(self) -> None:
        assert route("path: /, app: legacy") == ".app: there is no app 'legacy'; expected one in `apps`"

    def test_an_upstream_that_could_not_be_read_is_known_by_name(self) -> None:
        problems = said("upstreams: {users: 3}\nroutes: [{path: /, upstream: users}]")
        assert problems == ["g.yaml:1:20: upstreams.users: expected a mapping, not 3"]

    @pytest.mark.parametrize("key", ["rewrite: /x", "timeouts: {total: 1s}"])
    def test_what_only_an_upstream_uses(self, key: str) -> None:
        assert "leave it out" in route(f"path: /, respond: {{}}, {key}")


class TestTemplates:
    def test_parameters_of_the_path_are_known(self) -> None:
        fine(
            UPSTREAM
            + "routes: [{path: '/a/{x:int}/{rest:path}', upstream: users, rewrite: '/{rest}-{x}/%20'}]"
        )
        fine("routes: [{path: '/a/{x}', redirect: 'https://example.com/{x}?y={x}'}]")

    @pytest.mark.parametrize(
        ("rewrite", "message"),
        [
            ("/{idd}", "the route's path has no parameter {idd}; did you mean {id}?"),
            ("/{other}", "the route's path has no parameter {other}; it has id"),
            (
                "/{id:int}",
                "{id:int} in '/{id:int}' names no parameter; a parameter is written {name}, without a type",
            ),
            ("/{id", "a stray brace in '/{id'; a parameter is written {name}"),
            ("/id}", "a stray brace in '/id}'"),
            ("{id}", "'{id}' is not a path; expected one that begins with /"),
            ("/a b", "'/a b' holds what no path may"),
            ("/a?b=c", "'/a?b=c' holds what no path may"),
            ("/%2", "'/%2' holds what no path may"),
        ],
    )
    def test_bad_rewrites(self, rewrite: str, message: str) -> None:
        assert route(f"path: '/a/{{id}}', upstream: users, rewrite: '{rewrite}'").startswith(
            f".rewrite: {message}"
        )

    @pytest.mark.parametrize(
        ("to", "message"),
        [
            ("new", "'new' is neither a path nor a URL"),
            ("//example.com", "'//example.com' is neither a path nor a URL"),
            ("javascript:x", "'javascript:x' is neither a path nor a URL"),
            ("/{x}", "the route's path has no parameter {x}; it has none"),
            ("/a b", "'/a b' holds what no URL may"),
            ("/old", "the route redirects to itself"),
        ],
    )
    def test_bad_redirects(self, to: str, message: str) -> None:
        assert f": {message}" in route(f"path: /old, redirect: '{to}'")


class TestAnswers:
    @pytest.mark.parametrize("status", [204, 205, 304])
    def test_statuses_without_body(self, status: int) -> None:
        fine(f"routes: [{{path: /, respond: {{status: {status}}}}}]")
        assert "has no body" in route(f"path: /, respond: {{status: {status}, body: x}}")

    @pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "upgrade", "Content-Type"])
    def test_headers_that_are_the_gateways(self, name: str) -> None:
        assert f".respond.headers.{name}: " in route(f"path: /, respond: {{headers: {{{name}: x}}}}")

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("'X Y': z", "'X Y' is not a header name"),
            ("'': z", "'' is not a header name"),
            ('X: "a\\nb"', "a header value holds no control characters"),
            ('X: " a"', "a header value neither begins nor ends with blanks"),
            ("X: €", "a header value is Latin-1 text"),
            ("X: 1", "expected a header value such as acme, not 1"),
        ],
    )
    def test_headers_that_no_wire_carries(self, header: str, message: str) -> None:
        assert message in route(f"path: /, respond: {{headers: {{{header}}}}}")


def one(text: str) -> str:
    return "\n".join(said(text))


class TestLines:
    """What goes into fields, logs and metrics as it is: a value from a file often ends with a line break."""

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            ('routes: [{path: /, respond: {}, name: "a\\nb"}]', ".name: "),
            ('upstreams: {"a\\nb": {targets: ["http://127.0.0.1:1"]}}', "upstreams"),
            ('apps: {"a\\nb": {wsgi: "x:y"}}', "apps"),
        ],
    )
    def test_names_stand_on_one_line(self, where: str, message: str) -> None:
        assert message in one(where)
        assert "'a\\nb' is empty or holds control characters; expected text on one line" in one(where)

    @pytest.mark.parametrize(
        ("policy", "message"),
        [
            ('use: basic, realm: "shop\\n"', "realm: 'shop\\n' is empty or holds control characters"),
            ('use: cache, name: "a\\r\\nb"', "name: 'a\\r\\nb' is empty or holds control characters"),
            ('use: forward_auth, upstream: up, path: "/a\\r\\nX: y"', "holds what no path may"),
            (
                "use: forward_auth, upstream: up, path: verify",
                "is not a path; expected one that begins with /",
            ),
            ('use: forward_auth, upstream: up, host: "a\\nb"', "a header value holds no control characters"),
            ("use: jwt, jwks: {upstream: up, path: keys}", "is not a path; expected one that begins with /"),
            ('use: jwt, jwks: {upstream: up, host: "a\\nb"}', "a header value holds no control characters"),
            ('use: jwt, secret: x, scopes: ["a\\nb"]', "'a\\nb' is not a scope"),
            ("use: acl, scopes: ['a\"b']", "'a\"b' is not a scope (RFC 6749, 3.3)"),
        ],
    )
    def test_what_policies_say_stands_on_one_line(self, policy: str, message: str) -> None:
        text = "upstreams: {up: {targets: ['http://127.0.0.1:1']}}"
        assert message in one(f"{text}\nroutes: [{{path: /, upstream: up, policies: [{{{policy}}}]}}]")

    def test_what_checks_and_targets_are_told(self) -> None:
        up = "upstreams: {up: {targets: ['http://127.0.0.1:1'], %s}}"
        assert "a header value holds no control characters" in one(
            up % 'health: {active: {path: /, host: "a\\nb"}}'
        )
        assert "is empty or holds control characters" in one(up % 'credentials: {user: "a\\nb", password: x}')


class TestTable:
    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("users", "a path starts with '/'"),
            ("/a//b", "it can never match"),
            ("/a/../b", "it can never match"),
            ("/a?b", "it can never match"),
            ("/{a}/{a}", "the parameter 'a' appears twice"),
            ("/{a:path}/b", "nothing can follow it"),
            ("/{a:float}", "'float' in {a:float} is not a type"),
            ("/x{a}", "a parameter is a whole segment"),
        ],
    )
    def test_bad_paths(self, path: str, message: str) -> None:
        problem = route(f"path: '{path}', upstream: users")
        assert problem.startswith(".path: ")
        assert message in problem

    def test_the_same_route_twice(self) -> None:
        assert routes("path: /a, upstream: users", "path: /b, respond: {}", "path: /a, respond: {}") == [
            "g.yaml:5:5: routes[2]: /a takes the same requests as the route at g.yaml:3 (/a);"
            " remove one, or tell them apart by path, host, headers or methods"
        ]

    def test_parameters_have_no_names_to_tell_them_apart(self) -> None:
        (problem,) = routes("path: '/{a}', upstream: users", "path: '/{b}', upstream: users")
        assert "/{b} takes the same requests as the route at g.yaml:3 (/{a})" in problem

    def test_overlapping_methods(self) -> None:
        (problem,) = routes(
            "path: /a, upstream: users, methods: [GET, POST]",
            "path: /a, upstream: users, methods: [POST, PUT]",
        )
        assert "takes some of the same requests" in problem

    def test_three_alike_are_two_problems(self) -> None:
        assert len(routes(*["path: /a, upstream: users"] * 3)) == 2

    def test_what_tells_routes_apart(self) -> None:
        fine(
            """
            routes:
              - {path: /a, respond: {}}
              - {path: /a, respond: {}, methods: [GET]}
              - {path: /a, respond: {}, host: example.com}
              - {path: /a, respond: {}, host: "*.example.com"}
              - {path: /a, respond: {}, headers: {X: y}}
              - {path: "/{a}", respond: {}}
              - {path: "/{a:int}", respond: {}}
              - {path: "/{a:path}", respond: {}}
            """
        )

    def test_a_route_that_could_not_be_read_conflicts_with_nothing(self) -> None:
        assert routes("path: /a, upstream: users", "path: /a, upstream: users, hots: example.com") == [
            "g.yaml:4:33: routes[1].hots: unknown key; did you mean `host`?"
        ]

    def test_the_same_name_twice(self) -> None:
        (problem,) = routes("path: /a, respond: {}, name: x", "path: /b, respond: {}, name: x")
        assert problem.startswith("g.yaml:4:35: routes[1].name: 'x' is the name of the route at g.yaml:3 too")


class TestMethods:
    def test_all_that_parsers_know(self) -> None:
        fine(f"routes: [{{path: /, respond: {{}}, methods: [{', '.join(sorted(METHODS))}]}}]")

    @pytest.mark.parametrize(
        ("method", "message"),
        [
            ("get", "did you mean GET?"),
            ("PSOT", "did you mean POST?"),
            ("FROBNICATE", "expected one such as GET"),
            ("CONNECT", "cannot match CONNECT"),
            ("[GET]", "expected a method such as GET, not a list"),
        ],
    )
    def test_others(self, method: str, message: str) -> None:
        assert message in route(f"path: /, respond: {{}}, methods: [{method}]")

    def test_one_without_a_list(self) -> None:
        assert "expected a list, not 'GET'; did you mean [GET]?" in route(
            "path: /, respond: {}, methods: GET"
        )

    def test_what_is_in_a_list_is_said_where_there_is_none(self) -> None:
        (problem,) = said("server: {listen: 8080}\nroutes: []")
        assert (
            "expected a list, not 8080; an item of it is a listen address such as 127.0.0.1:8080" in problem
        )
        (problem,) = said("routes:\n  path: /\n  respond: {}")
        assert "expected a list, not a mapping; an item of it is a mapping" in problem

    def test_a_host_that_is_a_url(self) -> None:
        assert "'http://x.test' is a URL; a route matches the host alone, such as api.example.com" in route(
            "path: /, respond: {}, host: 'http://x.test'"
        )

    def test_one_named_twice(self) -> None:
        assert "routes[0].methods" in said("routes: [{path: /, respond: {}, methods: [GET, GET]}]")[0]


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("127.0.0.1:80", HostPort("127.0.0.1", 80)),
            ("[::1]:0", HostPort("::1", 0)),
            ("Localhost:8080", HostPort("localhost", 8080)),
            ("unix:/run/x.sock", UnixPath("/run/x.sock")),
        ],
    )
    def test_where_to_listen(self, text: str, address: HostPort | UnixPath) -> None:
        assert listen_address(text) == address
        assert listen_address(str(address)) == address

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("8080", "did you mean 127.0.0.1:8080?"),
            (":8080", "0.0.0.0:8080 for all"),
            ("*:8080", "0.0.0.0:8080 for all"),
            ("::1:8080", "goes in brackets"),
            ("[::g]:80", "not an IP address"),
            ("256.0.0.1:80", "not an IP address"),
            ("localhost", "lacks a port"),
            ("localhost:", "'' is not a port"),
            ("localhost:65536", "a number from 0 to 65535"),
            ("localhost:-1", "a number from 0 to 65535"),
            ("localhost:http", "a number from 0 to 65535"),
            ("http://localhost:80", "is a URL"),
            ("a b:80", "is not a host name"),
            ("-a:80", "is not a host name"),
            ("unix:run", "is not absolute"),
            ("unix:/" + "x" * 107, "at most 107 bytes"),
            ("unix:/", "is not the path of a socket"),
        ],
    )
    def test_where_not_to(self, text: str, message: str) -> None:
        with pytest.raises(ValueError, match="; ") as error:
            listen_address(text)
        assert message in str(error.value)

    @pytest.mark.parametrize(
        ("url", "address"),
        [
            ("http://10.0.0.1:9000", HostPort("10.0.0.1", 9000)),
            ("http://app", HostPort("app", 80)),
            ("http://[::1]:9000/", HostPort("::1", 9000)),
            ("unix:/run/app.sock", UnixPath("/run/app.sock")),
        ],
    )
    def test_targets(self, url: str, address: HostPort | UnixPath) -> None:
        assert target_address(url) == address

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("10.0.0.1:9000", "did you mean http://10.0.0.1:9000?"),
            ("https://app:x", "is not a port"),
            ("ftp://app", "the scheme 'ftp' is unknown"),
            ("http://", "names no host"),
            ("http://:80", "names no host"),
            ("http://app:0", "a number from 1 to 65535"),
            ("http://app:x", "a number from 1 to 65535"),
            ("http://u:p@app", "carries no user name"),
            ("http://app/base", "has more than host and port"),
            ("http://app?x", "has more than host and port"),
            ("http://[::1", "is not a URL"),
            ("http://a_b c", "is not a host name"),
        ],
    )
    def test_what_is_no_target(self, url: str, message: str) -> None:
        with pytest.raises(ValueError, match="; ") as error:
            target_address(url)
        assert message in str(error.value)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("127.0.0.1:80", "0.0.0.0:80"),
            ("[::]:80", "[::1]:80"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "localhost:80"),
            ("unix:/x", "unix:/x"),
        ],
    )
    def test_clashes(self, one: str, other: str) -> None:
        (problem,) = said(f"server: {{listen: ['{one}', '{other}']}}")
        assert f"server.listen[1]: {other} is taken by server.listen[0] ({one})" in problem
        (problem,) = said(f"server: {{listen: ['{one}']}}\nadmin: {{listen: '{other}'}}")
        assert f"g.yaml:2:17: admin.listen: {other} is taken by server.listen[0]" in problem

    def test_no_clashes(self) -> None:
        fine(
            "server: {listen: ['0.0.0.0:80', '[::]:80', 'unix:/x', 'unix:/y', '127.0.0.1:0', '127.0.0.1:0']}"
        )

    @pytest.mark.parametrize(
        ("network", "message"),
        [
            ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
            ("10.0.0.0/33", "is not a network"),
            ("all", "is not a network"),
        ],
    )
    def test_networks(self, network: str, message: str) -> None:
        assert message in said(f"server: {{trusted_proxies: [{network}]}}")[0]

    def test_a_target_listed_twice(self) -> None:
        (problem,) = said("upstreams: {u: {targets: [http://a, {url: 'http://A:80', weight: 2}]}}")
        assert "upstreams.u.targets[1]: http://a:80 is listed twice; give it a weight instead" in problem

    @pytest.mark.parametrize("host", ["*", "*x.com", "a.*.com", "example.com:80", "a b", "", "-x.com"])
    def test_hosts_that_are_none(self, host: str) -> None:
        assert ".host: " in route(f"path: /, respond: {{}}, host: '{host}'")


class TestMetrics:
    @pytest.mark.parametrize("key", ["duration_bounds", "gateway_bounds"])
    def test_bounds_rise(self, key: str) -> None:
        fine(f"metrics: {{{key}: [0.01ms, 1ms, 1h]}}")
        for bounds in ("[1ms, 1ms]", "[2ms, 1ms]"):
            (problem,) = said(f"metrics: {{{key}: {bounds}}}")
            assert f"metrics.{key}[1]: 1ms comes after" in problem
            assert "expected bounds that rise" in problem

    def test_there_are_at_most_fourteen(self) -> None:
        bounds = ", ".join(f"{n}s" for n in range(1, 16))
        fine(f"metrics: {{duration_bounds: [{bounds.removesuffix(', 15s')}]}}")
        (problem,) = said(f"metrics: {{duration_bounds: [{bounds}]}}")
        assert problem == "g.yaml:1:11: metrics.duration_bounds: 15 bounds; expected at most 14"

    @pytest.mark.parametrize("bounds", ["[]", "[0s]", "[-1s]", "[1]", "1s", "[1ms, x]"])
    def test_and_they_are_durations(self, bounds: str) -> None:
        (problem,) = said(f"metrics: {{gateway_bounds: {bounds}}}")
        assert "metrics.gateway_bounds" in problem


class TestAdminTls:
    def test_its_files_are_looked_at(self) -> None:
        (problem,) = said("admin: {tls: {cert: /nowhere.pem, key: /nowhere.pem}}")
        assert "admin.tls.cert: /nowhere.pem cannot be read" in problem

    def test_a_unix_socket_has_none(self) -> None:
        tls = f"{{cert: {OWN.cert}, key: {OWN.key}}}"
        fine(f"admin: {{listen: '0.0.0.0:9901', tls: {tls}}}")
        (problem,) = said(f"admin: {{listen: 'unix:/x', tls: {tls}}}")
        assert "admin.tls: a Unix socket speaks no TLS; leave it out" in problem


@pytest.mark.usefixtures("policies")
class TestPolicies:
    def test_settings_are_the_policys_own(self) -> None:
        config = loads(
            "policies: [plain, {use: probe, key: client, rate: 6000/m}]".replace("plain", "{use: plain}"),
            "g.yaml",
        )
        assert [policy.use for policy in config.policies] == ["plain", "probe"]
        assert config.policies[1].settings["rate"] == 100.0

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{use: prob, key: x}", "policies[0].use: there is no policy 'prob'; did you mean probe?"),
            ("{use: xyz}", "policies[0].use: there is no policy 'xyz'; expected one of plain, probe"),
            (
                "{use: 'a:B'}",
                "policies[0].use: there is no module a; is it installed, or is this the wrong folder?",
            ),
            ("{key: x}", "policies[0]: `use` is missing; expected the name of a policy"),
            ("plain", "policies[0]: expected a mapping, not 'plain'; write {use: NAME}"),
            ("{use: probe}", "policies[0]: `key` is missing; expected a string"),
            ("{use: probe, kee: x}", "policies[0].kee: unknown key; did you mean `key`?"),
            ("{use: plain, key: x}", "policies[0].key: unknown key; expected none"),
            ("{use: probe, key: x, rate: 5}", "policies[0].rate: expected a rate such as 100/s, not 5"),
            (
                "{use: probe, key: x, burst: 9999}",
                "policies[0].burst: 9999 is out of range; expected 0 to 1000",
            ),
            (
                "{use: probe, key: x, dry: yes}",
                "policies[0].dry: expected true or false, not 'yes'; did you mean true?",
            ),
            ("{use: probe, key: nobody}", "policies[0]: nobody can be counted; expected client or consumer"),
        ],
    )
    def test_mistakes_in_them(self, text: str, message: str) -> None:
        (problem,) = said(f"policies: [{text}]")
        assert message in problem
        (problem,) = said(f"routes: [{{path: /, respond: {{}}, policies: [{text}]}}]")
        assert f"routes[0].{message}" in problem


def test_problems_stand_in_the_order_of_the_file() -> None:
    problems = said("routes:\n  - {path: a, upstream: b}\nserver: {workrs: 1}\nupstreams: {b: {targets: []}}")
    assert [problem.split(":")[1] for problem in problems] == ["2", "3", "4"]


class TestUpstreamHeaders:
    @pytest.mark.parametrize(
        "name",
        [
            "Via",
            "Forwarded",
            "X-Forwarded-For",
            "x_forwarded_proto",
            "Expect",
            "Host",
            "Transfer_Encoding",
            "TE",
        ],
    )
    def test_what_the_gateway_says_itself_is_not_set(self, name: str) -> None:
        (problem,) = said(f"upstreams: {{a: {{targets: [http://localhost:1], headers: {{{name}: x}}}}}}")
        assert f"upstreams.a.headers.{name}: the gateway sets this field itself" in problem
