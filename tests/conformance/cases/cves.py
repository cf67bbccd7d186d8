"""Smuggling as it was published: what got past a known proxy or parser must not get past this one."""

from tests.conformance.case import (
    HIDDEN,
    HOST,
    LAST_CHUNK,
    Act,
    Case,
    Check,
    Finish,
    answer,
    bad_gateway,
    body_here,
    body_there,
    chunked,
    closed,
    dropped,
    field_there,
    forwarded,
    get,
    incomplete,
    none_of,
    post,
    refused,
    status,
)

TE = b"Transfer-Encoding: chunked"


def no(cve: str, what: str, says: bytes) -> Case:
    return Case(f"{what} ({cve.split()[0]})", cve, says, refused())


CASES = [
    Case(
        "a length's name that wraps round 256 (CVE-2021-40346)",
        "CVE-2021-40346 HAProxy",
        post(b"Content-Length0" + b"a" * 255 + b":", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
        refused() | (forwarded() & body_there(HIDDEN)),
    ),
    no(
        "CVE-2023-25725 HAProxy",
        "an empty name that hides the fields behind it",
        b"POST /case HTTP/1.1\r\n" + HOST + b": x\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
    ),
    no("CVE-2023-40225 HAProxy", "an empty length", post(b"Content-Length:", body=HIDDEN)),
    Case(
        "a fragment in the target (CVE-2023-45539)",
        "CVE-2023-45539 HAProxy",
        get(target=b"/case#.png") + HIDDEN,
        refused(),
    ),
    no(
        "CVE-2019-18277 HAProxy",
        "coding behind a vertical tab",
        post(b"Transfer-Encoding:\x0bchunked", b"Content-Length: 6", body=b"0\r\n\r\nX"),
    ),
    no(
        "CVE-2019-16276 Go",
        "a space before the colon",
        post(b"Content-Length : %d" % len(HIDDEN), body=HIDDEN),
    ),
    no("CVE-2019-20372 nginx", "a body behind an error", get(b"Content-Length: -1") + HIDDEN),
    Case(
        "a chunk size with its sign bit set (CVE-2013-2028)",
        "CVE-2013-2028 nginx",
        chunked(b"ffffffffffffffed\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
        incomplete & closed,
        finish=Finish.HALF_CLOSE,
    ),
    Case(
        "an unescaped space in the target (CVE-2013-4547)",
        "CVE-2013-4547 nginx",
        get(target=b"/case \x00.php") + HIDDEN,
        refused(),
    ),
    no(
        "CVE-2022-32213 llhttp",
        "chunked is not last, by lines",
        post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", body=LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2022-32213 llhttp",
        "a coding with chunked for a prefix",
        post(b"Transfer-Encoding: chunkedchunked", b"Content-Length: 4", body=b"zzzz" + HIDDEN),
    ),
    no(
        "CVE-2022-32214 llhttp",
        "a field ended by LF alone",
        b"GET /case HTTP/1.1\r\n" + HOST + b"Dummy: x\nContent-Length: 23\r\n\r\n" + HIDDEN,
    ),
    no(
        "CVE-2022-32215 llhttp",
        "a coding on a folded line",
        post(b"Transfer-Encoding: chunked", b" , identity", body=LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2022-35256 llhttp",
        "a CR alone before a field",
        b"GET /case HTTP/1.1\r\n"
        + HOST
        + b"X-A: b\r\rTransfer-Encoding: chunked\r\n\r\n"
        + LAST_CHUNK
        + HIDDEN,
    ),
    no(
        "CVE-2021-22959 llhttp",
        "a space before a coding's colon",
        post(b"Transfer-Encoding : chunked", b"Content-Length: 5", body=LAST_CHUNK),
    ),
    no(
        "CVE-2021-22960 llhttp",
        "a CR alone in a chunk extension",
        chunked(b"2 \n;\r\n0\r\nGET /hidden HTTP/1.1\r\n" + HOST + b"\r\n0\r\n\r\n"),
    ),
    no(
        "CVE-2023-30589 llhttp",
        "a CR alone between fields",
        b"POST /case HTTP/1.1\r\n"
        + HOST
        + b"X-Abc:\rxTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n"
        + LAST_CHUNK
        + HIDDEN,
    ),
    no(
        "CVE-2024-27982 Node.js",
        "a space before a length",
        b"POST /case HTTP/1.1\r\n" + HOST + b" Content-Length: 5\r\n\r\nhello",
    ),
    Case(
        "extensions without bound (CVE-2024-22019)",
        "CVE-2024-22019 Node.js",
        chunked(b"1;" + b"A" * 200_000 + b"\r\nx\r\n" + LAST_CHUNK),
        refused(),
    ),
    Case(
        "extensions out of proportion (CVE-2023-39326)",
        "CVE-2023-39326 Go",
        chunked((b"1;" + b"A" * 1000 + b"\r\nx\r\n") * 200 + LAST_CHUNK),
        refused(),
    ),
    no("CVE-2025-22871 Go", "a chunk size ended by LF alone", chunked(b"5\nhello\r\n" + LAST_CHUNK + HIDDEN)),
    no(
        "CVE-2022-1705 Go",
        "an invalid coding beside a length",
        post(b"Transfer-Encoding: \x00something", b"Content-Length: 5", body=b"hello"),
    ),
    no(
        "CVE-2022-1705 Go",
        "an unknown coding before chunked",
        post(b"Transfer-Encoding: foo, chunked", b"Content-Length: 5", body=b"hello"),
    ),
    no("CVE-2021-31525 Go", "a field without end", get(b"Connection: " + b"a" * 300_000)),
    no(
        "CVE-2023-29406 Go",
        "Host with rubbish behind",
        b"GET /case HTTP/1.1\r\nHost: gateway.test/x y\r\n\r\n" + HIDDEN,
    ),
    Case(
        "ReverseProxy and Connection (CVE-2021-33197)",
        "CVE-2021-33197 Go",
        get(b"Connection: ", b"Connection: X-Hop", b"X-Hop: 1"),
        forwarded() & none_of(["X-Hop"]),
    ),
    Case(
        "X-Forwarded-For by Connection (CVE-2022-31813)",
        "CVE-2022-31813 Apache httpd",
        get(b"Connection: X-Forwarded-For, X-Forwarded-Host"),
        forwarded()
        & Check(
            "X-Forwarded-For stays",
            lambda seen: (
                None if seen.requests[0].headers.has("X-Forwarded-For") else "X-Forwarded-For was removed"
            ),
        ),
    ),
    no(
        "CVE-2022-26377 Apache httpd",
        "coding and length for AJP",
        post(TE, b"Content-Length: 5", body=LAST_CHUNK),
    ),
    Case(
        "a target that splits its request (CVE-2023-25690)",
        "CVE-2023-25690 Apache httpd",
        get(target=b"/case%20HTTP/1.1%0d%0aFoo:%20bar"),
        refused() | (forwarded() & field_there("Foo")),
    ),
    Case(
        "an answer with a coding and a length (CVE-2024-24795)",
        "CVE-2024-24795 Apache httpd",
        get(),
        bad_gateway() | (status(200) & body_here(b"hello") & dropped),
        answers=(answer(TE, b"Content-Length: 3", body=b"5\r\nhello\r\n0\r\n\r\n"),),
    ),
    Case(
        "an answer's fields cut early (CVE-2022-37436)",
        "CVE-2022-37436 Apache httpd",
        get(),
        bad_gateway(),
        answers=(b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n",),
    ),
    Case(
        "a status line with a CR (CVE-2023-27522)",
        "CVE-2023-27522 mod_proxy_uwsgi",
        get(),
        bad_gateway(),
        answers=(b"HTTP/1.1 200 OK\rX-A: b\r\nContent-Length: 0\r\n\r\n",),
    ),
    no(
        "CVE-2018-8004 Traffic Server",
        "two lengths",
        post(b"Content-Length: 0", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
    ),
    no(
        "CVE-2020-1944 Traffic Server",
        "coding and length",
        post(b"Content-Length: %d" % len(HIDDEN), TE, body=LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2021-37147 Traffic Server",
        "a chunk ended by LF alone",
        chunked(b"5\r\nhello\n0\r\n\r\n" + HIDDEN),
    ),
    no(
        "CVE-2021-37150 Traffic Server",
        "a scheme that is not HTTP's",
        get(target=b"gopher://gateway.test/case") + HIDDEN,
    ),
    no(
        "CVE-2022-25763 Traffic Server",
        "control characters in the request line",
        get(target=b"/case\x0b") + HIDDEN,
    ),
    no(
        "CVE-2023-33934 Traffic Server",
        "a request line with a CR",
        b"GET /case HTTP/1.1\r\r\n" + HOST + b"\r\n" + HIDDEN,
    ),
    no(
        "CVE-2024-53868 Traffic Server",
        "a chunk size with rubbish behind",
        chunked(b"5 x\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2019-18801 Envoy",
        "a head larger than any buffer",
        get(*[b"X-%d: " % n + b"a" * 1000 for n in range(300)]),
    ),
    no(
        "CVE-2019-18802 Envoy",
        "space behind Host",
        b"GET /case HTTP/1.1\r\nHost: gateway.test \x0b\r\n\r\n" + HIDDEN,
    ),
    no("CVE-2019-9900 Envoy", "a NUL in a value", get(b"X-A: b\x00, c")),
    Case(
        "an upgrade that was refused (CVE-2024-23326)",
        "CVE-2024-23326 Envoy",
        get(b"Connection: Upgrade", b"Upgrade: chat") + get(),
        forwarded(2),
        methods=("GET", "GET"),
    ),
    no(
        "CVE-2020-25613 WEBrick",
        "coding: a word with chunked in it",
        post(b"Transfer-Encoding: xchunkedx", body=LAST_CHUNK + HIDDEN),
    ),
    no("CVE-2020-5247 Puma", "a field behind a CR", get(b"X-A: b\rX-B: c")),
    no("CVE-2020-11077 Puma", "rubbish behind the last chunk", chunked(b"5\r\nhello\r\n0\r\nx" + HIDDEN)),
    no("CVE-2021-41136 Puma", "a field ended by LF alone", get(b"X-A: b\nContent-Length: 40")),
    no("CVE-2022-24790 Puma", "length with a word", post(b"Content-Length: 5 five", body=b"hello")),
    no(
        "CVE-2023-40175 Puma",
        "a length of zero digits and a coding",
        post(b"Content-Length: ", TE, body=LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2024-21647 Puma",
        "trailers that never end",
        chunked(b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 60_000),
    ),
    no(
        "CVE-2024-1135 gunicorn",
        "coding repeated, chunked first",
        post(TE, b"Transfer-Encoding: identity", b"Content-Length: 5", body=LAST_CHUNK),
    ),
    no(
        "CVE-2024-6827 gunicorn",
        "coding with a word before chunked",
        post(b"Transfer-Encoding: xx, chunked", body=LAST_CHUNK + HIDDEN),
    ),
    Case(
        "Content_Length beside a length (CVE-2024-6827)",
        "CVE-2024-6827 gunicorn",
        post(b"Content-Length: 5", b"Content_Length: 0", body=b"hello"),
        refused() | (forwarded() & field_there("Content_Length")),
    ),
    no(
        "CVE-2019-16785 waitress", "LF for CRLF", b"GET /case HTTP/1.1\n" + HOST[:-2] + b"\nX: y\n\n" + HIDDEN
    ),
    no(
        "CVE-2019-16786 waitress",
        "coding in a list of one",
        post(b"Transfer-Encoding: chunked ,", b"Content-Length: 5", body=LAST_CHUNK),
    ),
    no(
        "CVE-2019-16789 waitress",
        "coding behind odd white space",
        post(b"Transfer-Encoding: \x85chunked", b"Content-Length: 5", body=LAST_CHUNK),
    ),
    no(
        "CVE-2019-16792 waitress",
        "a length twice",
        post(b"Content-Length: 0", b"Content-Length: 42", body=HIDDEN),
    ),
    no("CVE-2022-24761 waitress", "a chunk size with 0x", chunked(b"0x5\r\nhello\r\n" + LAST_CHUNK + HIDDEN)),
    no("CVE-2022-24761 waitress", "a length with a sign", post(b"Content-Length: +5", body=b"hello")),
    no(
        "CVE-2025-43859 h11",
        "two bytes for the CRLF behind a chunk",
        chunked(b"5\r\nhelloXX0\r\n\r\n" + HIDDEN),
    ),
    no("CVE-2022-24801 Twisted", "a length with a plus", post(b"Content-Length: +10", body=b"hello hell")),
    no(
        "CVE-2022-24801 Twisted",
        "space before a chunk size",
        chunked(b" 5\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2023-37276 aiohttp",
        "a CR in a name",
        b"GET /case HTTP/1.1\r\n" + HOST + b"Transfer\rEncoding: chunked\r\n\r\n" + HIDDEN,
    ),
    no(
        "CVE-2023-47627 aiohttp",
        "a length with an underscore",
        post(b"Content-Length: 1_0", body=b"hello hell"),
    ),
    no(
        "CVE-2024-23829 aiohttp",
        "a chunk size with an underscore",
        chunked(b"0_5\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2024-52304 aiohttp",
        "a LF in a chunk extension",
        chunked(b"5;a\nb\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2025-53643 aiohttp",
        "a trailer without a colon",
        chunked(b"5\r\nhello\r\n0\r\nTrailer\r\n\r\n" + HIDDEN),
    ),
    no(
        "CVE-2023-38697 protocol-http1",
        "a LF in an extension",
        chunked(b"5;\n\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no("CVE-2021-21295 Netty", "two lengths in a list", post(b"Content-Length: 5, 50", body=b"hello")),
    no(
        "CVE-2021-43797 Netty",
        "control characters at a name's end",
        get(b"Transfer-Encoding\x1f: chunked") + HIDDEN,
    ),
    no(
        "CVE-2020-7238 Netty",
        "a space before a coding",
        post(b" Transfer-Encoding: chunked", b"Content-Length: 5", body=LAST_CHUNK),
    ),
    no(
        "CVE-2019-20444 Netty", "a line without a colon", post(b"Transfer-Encoding", body=LAST_CHUNK + HIDDEN)
    ),
    no(
        "CVE-2025-58056 Netty",
        "LF alone behind a chunk size",
        chunked(b"5;x\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2024-6763 Jetty",
        "authority with a user",
        b"GET http://a@gateway.test/case HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
    ),
    no("CVE-2023-40167 Jetty", "a plus before a length", post(b"Content-Length: +0", body=HIDDEN)),
    no("CVE-2017-7658 Jetty", "a length and a coding", post(b"Content-Length: 5", TE, body=LAST_CHUNK)),
    no(
        "CVE-2017-7657 Jetty",
        "a chunk size past 32 bits",
        chunked(b"1000000000000000005\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no("CVE-2016-6816 Tomcat", "characters that no target has", get(target=b"/case\x01{}") + HIDDEN),
    no(
        "CVE-2020-1935 Tomcat",
        "a line ended by CR alone",
        b"GET /case HTTP/1.1\rX: y\r\n" + HOST + b"\r\n" + HIDDEN,
    ),
    no(
        "CVE-2021-33037 Tomcat",
        "identity beside chunked",
        post(b"Transfer-Encoding: identity, chunked", body=LAST_CHUNK + HIDDEN),
    ),
    no("CVE-2022-42252 Tomcat", "an invalid length", post(b"Content-Length: x", body=HIDDEN)),
    no(
        "CVE-2023-46589 Tomcat",
        "a trailer that is too long",
        chunked(b"0\r\nX: " + b"a" * 200_000 + b"\r\n\r\n" + HIDDEN),
    ),
    no(
        "CVE-2020-15810 Squid",
        "coding with a space in its name",
        get(b"Transfer -Encoding: chunked") + HIDDEN,
    ),
    no(
        "CVE-2020-15811 Squid",
        "coding in two parts",
        post(b"Transfer-Encoding: chun", b"Transfer-Encoding: ked", body=LAST_CHUNK),
    ),
    no(
        "CVE-2023-46846 Squid",
        "a chunk size with a space inside",
        chunked(b"0 5\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no("VSV00008 Varnish", "a length that is not all digits", post(b"Content-Length: 5 ,", body=b"hello")),
    no(
        "CVE-2020-8287 Node.js",
        "two codings, one of them chunked",
        post(TE, b"Transfer-Encoding: chunked-false", body=LAST_CHUNK + HIDDEN),
    ),
    no(
        "CVE-2019-15605 Node.js",
        "coding with a control character",
        post(b"Transfer-Encoding: \x01chunked", b"Content-Length: 5", body=LAST_CHUNK),
    ),
    no(
        "CVE-2018-7159 Node.js",
        "a length with spaces inside",
        post(b"Content-Length: 1 2", body=b"hello, world"),
    ),
    no(
        "CVE-2021-32714 hyper",
        "a chunk size that overflows",
        chunked(b"f0000000000000003\r\nabc\r\n" + LAST_CHUNK + HIDDEN),
    ),
    no("CVE-2021-32715 hyper", "a length with a plus sign", post(b"Content-Length: +3", body=b"abc")),
    no("CVE-2021-21299 hyper", "codings on two lines", post(TE, b"Transfer-Encoding: foo", body=LAST_CHUNK)),
    no(
        "CVE-2020-26281 async-h1",
        "a body that nobody reads",
        get(b"Content-Length: 5 ", b"Content-Length: 0") + b"hello" + HIDDEN,
    ),
    no(
        "CVE-2019-11072 lighttpd",
        "a target of escapes cut short",
        b"GET /case%2f%3 HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
    ),
    no(
        "CVE-2015-3183 Apache httpd",
        "a chunk extension with a control character",
        chunked(b"5;\x01\r\nhello\r\n" + LAST_CHUNK + HIDDEN),
    ),
    Case(
        "an answer cut at its end (CVE-2023-50269)",
        "CVE-2023-50269 Squid",
        get(),
        Check("cut", lambda seen: None if seen.cut else "taken for whole") & closed,
        answers=(answer(TE, body=b"5\r\nhello\r\n0\r\n"), Act.CLOSE),
        finish=Finish.EOF,
    ),
]
