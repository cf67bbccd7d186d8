"""Where a request goes: RFC 9112, sections 3.2 and 3.3, and RFC 9110, section 7.2."""

from tests.conformance.case import (
    HIDDEN,
    HOST,
    Case,
    Check,
    Finish,
    Seen,
    check,
    closed,
    field_there,
    forwarded,
    get,
    reached,
    refused,
    status,
    target,
)


def host(*lines: bytes, version: bytes = b"1.1") -> bytes:
    return b"GET /case HTTP/" + version + b"\r\n" + b"".join(b"Host:" + x + b"\r\n" for x in lines) + b"\r\n"


def no_host(name: str, *lines: bytes, rule: str = "RFC 9112 3.2") -> Case:
    return Case(name, rule, host(*lines) + HIDDEN, refused(400))


def absolute(where: bytes, *, to: bytes = b"other.test") -> bytes:
    return b"GET " + where + b" HTTP/1.1\r\nHost: " + to + b"\r\n\r\n"


def no(name: str, rule: str, to: bytes) -> Case:
    return Case(name, rule, get(target=to) + HIDDEN, refused())


@check("answered by the proxy or forwarded as it is")
def options_of_all(seen: Seen) -> str | None:
    if any(r.target != "*" for r in seen.requests):
        return f"forwarded as {[r.target for r in seen.requests]}"
    return None if len(seen.answers) == 1 else f"{len(seen.answers)} answers"


@check("no tunnel")
def no_tunnel(seen: Seen) -> str | None:
    if seen.requests:
        return "reached the upstream"
    return "a tunnel" if any(a.status < 300 for a in seen.answers) else None


# A client has to send the same authority in Host (RFC 9112 section 3.2): another one may be refused.
HERE: Check = refused(400) | forwarded() & target("/case") & field_there("Host", "gateway.test")

CASES = [
    Case("Host", "RFC 9110 7.2", get(), forwarded() & field_there("Host", "gateway.test")),
    Case(
        "Host with a port",
        "RFC 9110 7.2",
        host(b" gateway.test:8080"),
        forwarded() & field_there("Host", "gateway.test:8080"),
    ),
    Case(
        "Host as an IPv6 address",
        "RFC 9110 7.2",
        host(b" [::1]:8080"),
        forwarded() & field_there("Host", "[::1]:8080"),
    ),
    no_host("no Host"),
    no_host("two Hosts", b" gateway.test", b" other.test"),
    no_host("the same Host twice", b" gateway.test", b" gateway.test"),
    Case(
        "Host twice in HTTP/1.0",
        "RFC 9112 3.2",
        host(b" gateway.test", b" other.test", version=b"1.0"),
        refused(400),
        finish=Finish.EOF,
    ),
    Case(
        "no Host in HTTP/1.0",
        "RFC 9112 3.2",
        host(version=b"1.0"),
        reached(1) & status(200) & closed,
        finish=Finish.EOF,
    ),
    no_host("Host with a space", b" a b"),
    no_host("Host with a path", b" a.test/x"),
    no_host("Host with a query", b" a.test?x"),
    no_host("Host with a fragment", b" a.test#x"),
    no_host("Host with a user", b" user@a.test", rule="RFC 9110 4.2.4"),
    no_host("Host with a backslash", b" a.test\\b"),
    no_host("Host with two ports", b" a.test:80:81"),
    no_host("Host with a port that is no number", b" a.test:http"),
    no_host("Host with a port and a sign", b" a.test:+80"),
    no_host("Host with a bracket left open", b" [::1"),
    no_host("Host with a bracket inside", b" a[b].test"),
    no_host("Host with text behind its bracket", b" [::1]x"),
    no_host("Host with quotes", b' "a.test"'),
    no_host("Host with a control character", b" a\x01.test"),
    no_host("Host with a tab inside", b" a\tb"),
    no_host("Host with a byte past ASCII", b" caf\xe9.test"),
    no_host("Host with a scheme", b" http://a.test"),
    no_host("Host as a list", b" gateway.test, other.test"),
    Case(
        "Host in capitals of its name",
        "RFC 9110 5.1",
        b"GET /case HTTP/1.1\r\nhOST: gateway.test\r\n\r\n",
        forwarded() & field_there("Host", "gateway.test"),
    ),
    Case(
        "Host last",
        "RFC 9110 7.2",
        b"GET /case HTTP/1.1\r\nX-A: b\r\n" + HOST + b"\r\n",
        forwarded() & field_there("Host", "gateway.test"),
    ),
    Case("absolute form", "RFC 9112 3.2.2", absolute(b"http://gateway.test/case"), HERE),
    Case(
        "absolute form with a port",
        "RFC 9112 3.2.2",
        absolute(b"http://gateway.test:81/case"),
        refused(400) | forwarded() & target("/case") & field_there("Host", "gateway.test:81"),
    ),
    Case("absolute form in capitals", "RFC 9110 4.2.3", absolute(b"HTTP://gateway.test/case"), HERE),
    Case(
        "absolute form without a path",
        "RFC 9112 3.2.1",
        absolute(b"http://gateway.test"),
        refused(400) | forwarded() & target("/") & field_there("Host", "gateway.test"),
    ),
    Case(
        "absolute form with a query alone",
        "RFC 9112 3.2.1",
        absolute(b"http://gateway.test?a=b"),
        refused(400) | forwarded() & target("/?a=b") & field_there("Host", "gateway.test"),
    ),
    Case(
        "absolute form in HTTP/1.0 without Host",
        "RFC 9112 3.2.2",
        b"GET http://gateway.test/case HTTP/1.0\r\n\r\n",
        reached(1) & target("/case") & field_there("Host", "gateway.test"),
        finish=Finish.EOF,
    ),
    Case(
        "absolute form without Host",
        "RFC 9112 3.2",
        b"GET http://gateway.test/case HTTP/1.1\r\n\r\n" + HIDDEN,
        refused(400),
    ),
    Case(
        "absolute form with a user",
        "RFC 9110 4.2.4",
        absolute(b"http://user:pw@gateway.test/case") + HIDDEN,
        refused(),
    ),
    Case("absolute form without a host", "RFC 9110 4.2.1", absolute(b"http:///case") + HIDDEN, refused()),
    Case(
        "absolute form with a port that is no number",
        "RFC 9110 4.2.1",
        absolute(b"http://gateway.test:x/case") + HIDDEN,
        refused(),
    ),
    Case(
        "absolute form of a scheme that is not served",
        "RFC 9110 7.4",
        absolute(b"ftp://gateway.test/case") + HIDDEN,
        refused(),
    ),
    Case("OPTIONS of all", "RFC 9112 3.2.4", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", options_of_all),
    Case(
        "an asterisk with another method",
        "RFC 9112 3.2.4",
        b"GET * HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
        refused(),
    ),
    Case(
        "an asterisk and more",
        "RFC 9112 3.2.4",
        b"OPTIONS *a HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
        refused(),
    ),
    Case(
        "CONNECT",
        "RFC 9112 3.2.3",
        b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n",
        no_tunnel,
    ),
    Case(
        "CONNECT with a body",
        "RFC 9110 9.3.6",
        b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
        + HIDDEN,
        no_tunnel,
    ),
    Case(
        "CONNECT of a path",
        "RFC 9112 3.2.3",
        b"CONNECT /case HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
        no_tunnel,
    ),
    no("authority form with another method", "RFC 9112 3.2.3", b"gateway.test:80"),
    no("a target without a slash", "RFC 9112 3.2.1", b"case"),
    no("a target with a fragment", "RFC 9112 3.2.1", b"/case#x"),
    no("a query with a fragment", "RFC 9112 3.2.1", b"/case?a#x"),
    no("a target with a NUL", "RFC 9112 3.2", b"/ca\x00se"),
    no("a target with a control character", "RFC 9112 3.2", b"/ca\x01se"),
    no("a query with a control character", "RFC 9112 3.2", b"/case?\x01"),
    no("a target with a DEL", "RFC 9112 3.2", b"/ca\x7fse"),
    Case("a target with a space", "RFC 9112 3.2", get(target=b"/case x") + HIDDEN, refused()),
    Case(
        "a target with an escaped CRLF",
        "RFC 9112 11.1",
        get(target=b"/case%0d%0aX-A:%20b"),
        refused() | (forwarded() & field_there("X-A")),
    ),
    Case(
        "a query passes as it came",
        "RFC 9110 4.2.3",
        get(target=b"/case?a=%2F%2e&b=/../x"),
        forwarded() & target("/case?a=%2F%2e&b=/../x"),
    ),
    Case("an empty query stays", "RFC 9110 4.2.3", get(target=b"/case?"), forwarded() & target("/case?")),
    Case(
        "a target of two slashes is no authority",
        "RFC 9112 3.2.1",
        get(target=b"//other.test/case"),
        refused() | (forwarded() & field_there("Host", "gateway.test")),
    ),
]
