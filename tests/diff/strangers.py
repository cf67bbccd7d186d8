"""Four hundred triples of answers, by one who knows the diff from its documentation alone.

Each is one that services give while a team replaces one by another, Flask by Go, Node by FastAPI: what the
old service said, what it said when it was asked again, and what the new one said. In 200 the new service is
wrong, in 200 it is right and merely another program. All is drawn from a case's name: the same in every run.
"""

import copy
import gzip
import re
import unicodedata
from collections.abc import Iterator
from random import Random
from typing import Any

from .answers import (
    Answer,
    Case,
    Edit,
    both,
    drop,
    moved,
    named,
    of_headers,
    of_json,
    of_text,
    on,
    packed,
    put,
    same,
    wrong,
)
from .dialects import (
    FORMS,
    JSON,
    Form,
    Raw,
    gauges,
    hexed,
    order,
    probe,
    problem,
    products,
    series,
    shuffled,
    user,
)

# What a new service gets wrong.

USER: list[tuple[str, Edit]] = [
    ("a number became text", put("id", "4711")),
    ("off by one", put("id", 4712)),
    ("decomposed letters", on("name", lambda name: unicodedata.normalize("NFD", name))),
    ("UTF-8 read as Latin-1", on("name", lambda name: name.encode().decode("latin-1"))),
    ("accents lost", put("name", "Zoe Lukasz")),
    ("a space behind a name", on("name", lambda name: name + " ")),
    ("a boolean as 1", put("active", 1)),
    ("a boolean as text", put("active", "true")),
    ("a boolean turned", put("active", False)),
    ("false as null", put("admin", None)),
    ("false left out", drop("admin")),
    ("null left out", drop("nickname")),
    ("null as empty text", put("nickname", "")),
    ("a list in another order", on("tags", sorted)),
    ("a list's last is gone", drop("tags.2")),
    ("an item twice", on("tags", lambda tags: [*tags, "eu"])),
    ("a list joined", on("tags", ",".join)),
    ("a list as an object", on("tags", lambda tags: {str(i): tag for i, tag in enumerate(tags)})),
    ("a zip code as a number", put("address.zip", 1067)),
    ("coordinates swapped", both(put("address.lat", 13.7373), put("address.lon", 51.0504))),
    ("a float cut to two digits", put("address.lat", 51.05)),
    ("a member by another name", named("address.lon", "lng")),
    ("local time called UTC", put("created_at", "2019-03-31T01:30:00Z")),
    ("a zone left out", put("created_at", "2019-03-31T01:30:00")),
    ("a time as a number", put("created_at", 1553992200)),
    ("a day earlier", put("birthday", "1990-02-27")),
    ("a date with a time", put("birthday", "1990-02-28T00:00:00")),
    ("a cent less", put("balance", 19.89)),
    ("cents for euros", put("balance", 1990)),
    ("a large integer through a double", put("credit", 9007199254740992)),
    ("a large integer through an exponent", put("credit", Raw("9.007199254740992e15"))),
    ("entities in text", on("bio", lambda bio: bio.replace("&", "&amp;").replace("<", "&lt;"))),
    ("an emoji lost", on("bio", lambda bio: bio.replace("😀", "?"))),
    ("an empty list as null", put("groups", None)),
    ("an empty list left out", drop("groups")),
    ("an empty object as a list", put("limits", [])),
    ("empty text as null", put("note", None)),
    ("https became http", on("avatar", lambda url: url.replace("https", "http"))),
    ("the query in another order", put("avatar", "https://cdn.example.org/a/4711.png?s=64&v=3")),
    ("more than was asked for", put("password_hash", "$2b$12$Qm1")),
    ("camel case", named("created_at", "createdAt")),
    ("an envelope", lambda document: {"data": document}),
]
ORDER: list[tuple[str, Edit]] = [
    ("a price without its zero", put("order.items.0.price", "19.9")),
    ("a decimal comma", put("order.items.1.price", "20,17")),
    ("a tax as a percentage", put("order.items.1.tax", 7)),
    ("a line is gone", drop("order.items.1")),
    (
        "lines by another order",
        on("order.items", lambda items: sorted(items, key=lambda item: str(item["sku"]))),
    ),
    ("a line twice", on("order.items", lambda items: [*items, copy.deepcopy(items[0])])),
    ("rounded the other way", put("order.total", 64.18)),
    ("a sum without tax", put("order.total", 57.04)),
    ("a sum of floats cut", put("order.total", 64)),
    ("null as 0", put("order.coupon", 0)),
    ("a quantity as a float that is not whole", put("order.items.2.qty", 12.000001)),
    ("a gift as text", put("order.items.2.gift", "True")),
    ("the day before, by the zone", put("order.placed", "2026-11-02T22:30:00Z")),
    ("a negative time", put("meta.took", -0.004211)),
    ("milliseconds since 1970", on("meta.at", lambda at: at * 1000 + 217)),
]
PRODUCTS: list[tuple[str, Edit]] = [
    ("a page is counted from 0", put("page", 1)),
    ("a page is one too short", drop("items.5")),
    ("a page begins one too late", drop("items.0")),
    (
        "the next page's first is on it",
        on("items", lambda items: [*items, {**items[0], "id": 26, "name": "Product 6"}]),
    ),
    ("the count is of the page", put("total", 6)),
    ("the last page names no next", put("next", None)),
    ("next is absolute", put("next", "http://127.0.0.1:9002/products?page=3")),
    ("next leads to the same page", put("next", "/products?page=2")),
    ("the other way round", on("items", lambda items: items[::-1])),
    ("two have changed places", on("items", moved(1, 2))),
    ("stock of the neighbour", put("items.3.stock", 28)),
    ("a price's last digit", put("items.3.price", 13.75)),
    ("no cursor", put("cursor", None)),
    ("views are text", on("items.2.views", str)),
]
OTHERS: list[tuple[Form, str, Edit]] = [
    (problem, "another word for it", put("title", "Out of Stock")),
    (problem, "a number in its sentence", put("detail", "Only 2 left of B-7")),
    (
        problem,
        "the wrong path around an id",
        on("instance", lambda path: path.replace("/requests/", "/errors/")),
    ),
    (problem, "a path without its id", put("instance", "/requests/")),
    (problem, "the status in it", put("status", 400)),
    (series, "the 150th is gone", drop("150")),
    (series, "one mean of 300", put("271.mean", 271 * 271 / 7 + 0.001)),
    (series, "an hour was left out by summer time", put("26.at", "2026-10-02T03:00:00Z")),
    (series, "one reading is null", put("299.read", None)),
    (shuffled, "a team is gone", drop("teams.2")),
    (shuffled, "a team's name", put("teams.1.name", "Team 0")),
    (shuffled, "members of a team in another order", on("teams.0.members", lambda members: members[::-1])),
    (shuffled, "a role twice for another", on("roles", lambda roles: [*roles[:3], roles[0]])),
    (shuffled, "a role too many", on("roles", lambda roles: [*roles, "admin"])),
    (gauges, "a steady one beside one that varies", put("gauges.1.value", 50)),
    (gauges, "a gauge by another name", put("gauges.0.name", "up")),
]
FORMLESS: list[tuple[str, JSON]] = [
    ("uuid", None), ("uuid", ""), ("uuid", "undefined"), ("uuid", "8d1f3c5e0b7a4c2d9e6f1a2b3c4d5e6f"),
    ("ulid", "d2b7f2ce-8a52-4a0e-9d0b-06a4f2f6d6a1"), ("objectid", {"$oid": "674ad3f0c1d2e3f4a5b6c7d8"}),
    ("snowflake", "1861727264009623171"), ("sha256", None), ("base64", True), ("jwt", ""),
    ("jwt", "0f8fad5bd9cb469fa16570867728950e"), ("seconds", 1796029210079),
    ("seconds", "2026-11-30T09:00:10Z"), ("milliseconds", 1796029210), ("iso", "2026-11-30T09:00:10"),
    ("iso", "2026-11-30"), ("iso", 1796029210), ("iso", "Invalid Date"),
    ("iso offset", "2026-11-30T10:00:10"),
    ("iso python", "Mon, 30 Nov 2026 09:00:10 GMT"), ("rfc 1123", "2026-11-30T09:00:10Z"),
    ("counter", "1206"),
    ("counter", -1), ("counter", [1206]), ("took", -0.004), ("took", "0.006"), ("took ms", 6),
    ("coin", "false"),
    ("request url", "/requests/None"), ("sentence", "Erzeugt um 09:00:10 von 4711"),
    ("signed url", "https://cdn.example.org/a/4712.png?expires=1796029210&signature=0123456789abcdef"),
]  # fmt: skip
JUDGED: list[tuple[str, Form, Edit, dict[str, Any]]] = [
    ("beside what is ignored", order, put("order.state", "open"), {"ignore": ["order.total", "meta"]}),
    ("a name that only begins like an ignored one", user, put("note", "x"),
     {"ignore": ["not", "notes", "address.note"]}),
    ("a level above the ignored one", user, drop("address"), {"ignore": ["address.zip"]}),
    ("another member of the items", order, put("order.items.1.qty", 2),
     {"ignore": ["order.items.tax", "order.*.id"]}),
    ("a set lacks one", user, on("tags", lambda tags: tags[::-1][:2]), {"sets": ["tags"]}),
    ("a set has another", user, put("tags", ["eu", "staff", "alpha"]), {"sets": ["tags"]}),
    ("a set has one twice", user, put("tags", ["eu", "staff", "beta", "beta"]), {"sets": ["tags"]}),
    ("an item of a set differs", order,
     on("order.items", lambda items: [items[2], {**items[0], "qty": 3}, items[1]]),
     {"sets": ["order.items"]}),
    ("a list that is no set", user, on("tags", lambda tags: tags[::-1]), {"sets": ["groups"]}),
    ("beyond the tolerance", order, put("order.total", 64.2), {"tolerance": {"order.total": 0.02}}),
    ("below the tolerance", user, put("address.lat", 51.04), {"tolerance": {"address.*": 0.01}}),
    ("text is not tolerated", order, put("order.total", "64.17"), {"tolerance": {"order.total": 1}}),
    ("null is not tolerated", order, put("order.total", None), {"tolerance": {"order.total": 100}}),
    ("tolerance is for another number", order, put("order.items.0.tax", 0.2),
     {"tolerance": {"order.items.qty": 0.5}}),
]  # fmt: skip
COOKIE = "Set-Cookie: sid={md5}; Path=/; HttpOnly; Secure; SameSite=Lax"
CORS = (
    "Access-Control-Allow-Origin: https://app.example\nAccess-Control-Allow-Credentials: true\nVary: Origin"
)
LOGIN = "Location: https://id.example/authorize?client_id=shop&redirect_uri=%2Fback&state={nonce}"
FIELDS: list[tuple[str, str, str, int | tuple[int, int]]] = [
    ("created, not fine", "", "", (200, 201)),
    ("no content", "", "", (200, 204)),
    ("not found", "", "", (200, 404)),
    ("found what is not there", "", "", (404, 200)),
    ("unprocessable for bad", "", "", (400, 422)),
    ("method not allowed for not found", "", "", (404, 405)),
    ("it broke", "", "", (200, 500)),
    ("redirected for a slash", "", "Location: /users/", (200, 308)),
    ("for ever", "Location: /v2/users", "Location: /v2/users", (302, 301)),
    ("keeps the method", "Location: /done", "Location: /done", (303, 307)),
    ("a redirect that drops its query", "Location: /login?next=%2Fcart", "Location: /login", 302),
    ("a redirect to http", "Location: https://shop.example/", "Location: http://shop.example/", 302),
    ("another client in a redirect with a nonce", LOGIN, LOGIN.replace("shop", "demo"), 302),
    ("a nonce left out", LOGIN, LOGIN.replace("&state={nonce}", ""), 302),
    ("JSON as HTML", "Content-Type: application/json", "Content-Type: text/html; charset=utf-8", 200),
    ("no problem type", "Content-Type: application/problem+json", "Content-Type: application/json", 409),
    ("ten times as long in caches", "Cache-Control: max-age=60", "Cache-Control: max-age=600", 200),
    (
        "shared caches may keep it",
        "Cache-Control: private, max-age=60",
        "Cache-Control: public, max-age=60",
        200,
    ),
    ("no word for caches", "Cache-Control: no-store", "", 200),
    ("varies by less", "Vary: Accept-Encoding, Authorization", "Vary: Accept-Encoding", 200),
    ("an allowed method is gone", "Allow: GET, HEAD, POST", "Allow: GET, HEAD", 405),
    ("any origin", CORS, CORS.replace("https://app.example", "*"), 200),
    (
        "no credentials across origins",
        CORS,
        CORS.replace("Access-Control-Allow-Credentials: true\n", ""),
        200,
    ),
    (
        "a field is not exposed",
        "Access-Control-Expose-Headers: Link, X-Total",
        "Access-Control-Expose-Headers: Link",
        200,
    ),
    ("a cookie for scripts", COOKIE, COOKIE.replace("HttpOnly; ", ""), 200),
    ("a cookie in the clear", COOKIE, COOKIE.replace("Secure; ", ""), 200),
    ("a cookie across sites", COOKIE, COOKIE.replace("Lax", "None"), 200),
    ("a cookie of one path", COOKIE, COOKIE.replace("Path=/", "Path=/api"), 200),
    ("an empty cookie", COOKIE, COOKIE.replace("{md5}", ""), 200),
    ("no cookie", COOKIE, "", 200),
    ("a cookie by another name", COOKIE, COOKIE.replace("sid", "session"), 200),
    ("a second cookie is gone", f"{COOKIE}\nSet-Cookie: theme=dark; Path=/", COOKIE, 200),
    ("a cookie's value", "Set-Cookie: theme=dark; Path=/", "Set-Cookie: theme=light; Path=/", 200),
    ("a cookie for ten hours", "Set-Cookie: a=1; Max-Age=3600", "Set-Cookie: a=1; Max-Age=36000", 200),
    ("a download that is shown", 'Content-Disposition: attachment; filename="a.csv"', "", 200),
    ("no challenge", 'WWW-Authenticate: Basic realm="shop"', "", 401),
]
PAGE = """<!doctype html>
<html lang="de">
<head><meta charset="utf-8"><title>Warenkorb &ndash; Laden</title>
<script nonce="{nonce}">window.cart = {"items": 3};</script></head>
<body>
<form method="post" action="/cart"><input type="hidden" name="csrf" value="{sha256}">
<p class="total">Summe: 64,17 &euro;</p>
<button>Kaufen</button></form>
<!-- {iso python}, {took ms} -->
</body>
</html>
"""
METRICS = "# TYPE requests counter\nrequests {counter}\nload {load}\nworkers 4\n"
XML = '<?xml version="1.0"?>\n<order id="A-1029" at="{iso}"><total currency="EUR">64.17</total></order>\n'
CSV = "sku,title,price\r\nB-7,Brötchen,19.90\r\nK-2,Kaffee,20.17\r\n"
PNG = b"\x89PNG\r\n\x1a\n" + Random("picture").randbytes(900)
TEXTS: list[tuple[str, str, str | bytes, str | bytes]] = [
    ("a sum on a page with a nonce", "text/html; charset=utf-8", PAGE, PAGE.replace("64,17", "64.17")),
    ("no token in the form", "text/html; charset=utf-8", PAGE, PAGE.replace("{sha256}", "")),
    (
        "a token by its expression",
        "text/html; charset=utf-8",
        PAGE,
        PAGE.replace("{sha256}", "{{ csrf_token() }}"),
    ),
    (
        "the form leads elsewhere",
        "text/html; charset=utf-8",
        PAGE,
        PAGE.replace('action="/cart"', 'action="/"'),
    ),
    (
        "a page without its button",
        "text/html; charset=utf-8",
        PAGE,
        PAGE.replace("<button>Kaufen</button>", ""),
    ),
    ("a page cut off", "text/html; charset=utf-8", PAGE, PAGE[: PAGE.index("<!-- ")]),
    ("escaped twice", "text/html; charset=utf-8", PAGE, PAGE.replace("&euro;", "&amp;euro;")),
    (
        "a traceback under 200",
        "text/html; charset=utf-8",
        PAGE,
        "<pre>Traceback (most recent call last):\n KeyError: 'sku'</pre>",
    ),
    ("a gauge is missing", "text/plain; version=0.0.4", METRICS, METRICS.replace("workers 4\n", "")),
    ("a steady gauge", "text/plain; version=0.0.4", METRICS, METRICS.replace("workers 4", "workers 1")),
    (
        "a gauge that varies is no number",
        "text/plain; version=0.0.4",
        METRICS,
        METRICS.replace("{load}", "None"),
    ),
    ("an amount in XML", "application/xml", XML, XML.replace("64.17", "64.2")),
    ("an attribute in XML", "application/xml", XML, XML.replace('currency="EUR"', 'currency="USD"')),
    ("lines end otherwise", "text/csv; charset=utf-8", CSV, CSV.replace("\r\n", "\n")),
    ("a last line without its end", "text/csv; charset=utf-8", CSV, CSV[:-2]),
    ("a row is gone", "text/csv; charset=utf-8", CSV, CSV.replace("B-7,Brötchen,19.90\r\n", "")),
    ("a byte of a picture", "image/png", PNG, PNG[:500] + b"\0" + PNG[501:]),
    ("a picture's end", "image/png", PNG, PNG[:-1]),
    ("empty for a picture", "image/png", PNG, b""),
]


def spoilt() -> Iterator[Case]:
    """Bodies and statuses that went wrong below what is said."""
    yield wrong(of_json("cut in the middle", products), body=lambda body: body[: len(body) // 2])
    yield wrong(of_json("empty for JSON", user), body=lambda body: b"")
    yield wrong(of_json("two documents", user), body=lambda body: body * 2)
    yield wrong(of_json("not a number", user), body=lambda body: re.sub(rb"19\.90?", b"NaN", body))
    yield wrong(of_json("Python's repr", gauges), body=lambda body: body.replace(b'"', b"'"))
    yield wrong(
        of_json("Latin-1", lambda chance, n: {"name": Raw('"Zoë"')}),
        body=lambda body: body.decode().encode("latin-1"),
    )
    yield wrong(of_json("a name twice", gauges), body=lambda body: body.replace(b"500", b'500, "value": 0'))
    yield wrong(of_json("coded, and not said", user), body=gzip.compress)
    yield packed(of_json("coded twice", user), lambda body: gzip.compress(gzip.compress(body)))
    yield packed(of_json("said, and not coded", user), lambda body: body)
    yield packed(
        of_json("another under gzip", user, put("id", 4712)), gzip.compress, which="first again other"
    )
    yield packed(of_json("cut under gzip", user), lambda body: gzip.compress(body)[:-30])
    case = of_json("it broke, and breaks", user)
    broken = Answer(500, [("Content-Type", "text/plain")], b"oops")
    yield Case(case.name, case.first, broken, broken)


def real() -> Iterator[Case]:
    for document, edits in ((user, USER), (order, ORDER), (products, PRODUCTS)):
        yield from (of_json(name, document, edit) for name, edit in edits)
    yield from (of_json(name, document, edit) for document, name, edit in OTHERS)
    for form, value in FORMLESS:
        yield of_json(f"{form} became {value!r}", probe(form), put("result.value", value))
    yield from (of_json(name, document, edit, **config) for name, document, edit, config in JUDGED)
    yield from (of_headers(*each) for each in FIELDS)
    yield from (of_text(*each) for each in TEXTS)
    yield from spoilt()


# What a new service does otherwise, and gets right.

MEANINGS: list[tuple[str, str]] = [
    ("1", "1.0"), ("1000", "1E+3"), ("100000000000000000000", "1e20"), ("0.1", "1e-1"), ("19.90", "19.9"),
    ("-0.0", "0"),
    ("0.30000000000000004", "0.3"), ("0.3333333333333333", "0.33333333333333331"),
    ("267.49999999999994", "267.5"),
    ("59.97", "59.970000000000006"), ("1.7976931348623157e308", "1.7976931348623157E+308"),
    ("5e-324", "4.9E-324"),
    ("0.00001", "1.0E-5"), ('"\\u00E9"', '"é"'), ('"\\ud83d\\ude00"', '"😀"'), ('"a\\/b"', '"a/b"'),
    ('"\\u003cb\\u003e"', '"<b>"'),
    ('"\\u0009"', '"\\t"'), ('"\\u2028"', '"\u2028"'), ('"\\u0027"', "\"'\""), ('{"\\u0061":1}', '{"a":1}'),
    ('{"a":1,"b":2}', '{ "b" : 2 ,\n\t"a":1 }'), ("[1,2]", "[1.0,\r\n2.0]\n"),
    ('{"a":{"x":1,"y":[{"p":1,"q":2}]}}',
    '{"a":{"y":[{"q":2,"p":1}],"x":1}}'), ("[{}, [], null]", " [{ },[ ],null] "),
]  # fmt: skip
ALLOWED: list[tuple[str, Form, Edit, dict[str, Any]]] = [
    ("an ignored object is gone", order, drop("meta"), {"ignore": ["meta"]}),
    ("an ignored value", user, put("note", "x"), {"ignore": ["note"]}),
    ("an ignored type", user, put("address.zip", 1067), {"ignore": ["address.zip"]}),
    ("any name", user, both(put("address.lat", 0), drop("address.lon")), {"ignore": ["address.*"]}),
    ("any name above", order, put("order.ship.days", 4), {"ignore": ["*.ship"]}),
    ("ignored in items", order, both(put("order.items.0.price", 1), drop("order.items.2.price")),
     {"ignore": ["order.items.price"]}),
    ("ignored in a list at the top", series, put("7.mean", None), {"ignore": ["mean"]}),
    ("a member too many, ignored", user, put("links", {"self": "/users/4711"}),
     {"ignore": ["links", "_links"]}),
    ("an ignored list", user, put("tags", []), {"ignore": ["tags"]}),
    ("a set by the alphabet", user, on("tags", sorted), {"sets": ["tags"]}),
    ("a set with one twice", lambda chance, n: {"more": ([1, 3, 3], [1, 3, 3], [3, 1, 3])[n]}, same,
     {"sets": ["more"]}),
    ("a set of objects", order, on("order.items", lambda items: items[::-1]), {"sets": ["order.items"]}),
    ("a set with noise in its items", products, on("items", moved(0, 4)), {"sets": ["items"]}),
    ("a set in a set", shuffled, on("teams.1.members", lambda names: names[::-1]),
     {"sets": ["teams", "teams.members"]}),
    ("within the tolerance", order, put("order.total", 64.18), {"tolerance": {"order.total": 0.02}}),
    ("at the tolerance", order, put("order.ship.days", 5), {"tolerance": {"order.ship.days": 2}}),
    ("at the tolerance, but for the rounding", user, put("height", 1.8), {"tolerance": {"height": 0.1}}),
    ("tolerance for any name", user, both(put("address.lat", 51.05), put("address.lon", 13.74)),
     {"tolerance": {"address.*": 0.01}}),
    ("tolerance in items", order, put("order.items.1.tax", 0.0700001),
     {"tolerance": {"order.items.tax": 1e-6}}),
    ("tolerance of one", products, put("items.4.stock", 29), {"tolerance": {"items.stock": 1}}),
    ("all three", user, both(put("height", 1.75), on("tags", sorted), put("note", None)),
     {"ignore": ["note"], "sets": ["tags"], "tolerance": {"height": 0.05}}),
]  # fmt: skip
TWO = "Set-Cookie: a=1; Path=/\nSet-Cookie: b=2; Path=/"
ALIKE: list[tuple[str, str, str, int]] = [
    ("fields of the program's own", "X-Runtime: 0.01\nVia: 1.1 old",
     "X-Process-Time: 0.2\nServer-Timing: app;dur=3", 200),
    ("the order of Vary", "Vary: Accept-Encoding, Origin", "Vary: Origin, Accept-Encoding", 200),
    ("Vary in small letters", "Vary: Accept-Encoding", "vary: accept-encoding", 200),
    ("Vary on two lines", "Vary: Accept-Encoding, Origin", "Vary: Origin\nVary: Accept-Encoding", 200),
    ("the order of Allow", "Allow: GET, HEAD, OPTIONS", "Allow: OPTIONS, GET,HEAD", 405),
    ("the order of Cache-Control", "Cache-Control: max-age=60, public", "cache-control: public,max-age=60",
     200),
    ("the order of exposed fields", "Access-Control-Expose-Headers: Link, X-Total",
     "Access-Control-Expose-Headers: X-Total, Link", 200),
    ("the order of allowed methods", "Access-Control-Allow-Methods: GET, POST",
     "Access-Control-Allow-Methods: POST, GET", 204),
    ("a session", COOKIE, COOKIE, 200),
    ("a session's attributes", COOKIE, "set-cookie: sid={md5}; SameSite=Lax; Secure; Path=/; HttpOnly", 200),
    ("a session in small letters", COOKIE, "set-cookie: sid={md5}; path=/; httponly; secure; samesite=lax",
     200),
    ("the order of cookies", TWO, "\n".join(TWO.splitlines()[::-1]), 200),
    ("a cookie's blanks", "Set-Cookie: a=1; Path=/; Secure", "Set-Cookie: a=1;Path=/;Secure", 200),
    ("a cookie's end", "Set-Cookie: a=1; Expires={rfc 1123}", "Set-Cookie: a=1; expires={rfc 1123}", 200),
    ("a JWT in a cookie", "Set-Cookie: t={jwt}; HttpOnly", "Set-Cookie: t={jwt}; HttpOnly", 200),
    ("a redirect with a nonce", LOGIN, LOGIN, 302),
    ("a redirect to a new id", "Location: /jobs/{uuid}", "location: /jobs/{uuid}", 303),
    ("a charset on JSON", "Content-Type: application/json", "Content-Type: application/json; charset=utf-8",
     200),
    ("a charset on a problem", "Content-Type: application/problem+json",
     "content-type: application/problem+json;charset=UTF-8", 404),
    ("a charset's letters", "Content-Type: text/plain; charset=utf-8",
     "Content-Type: text/plain;charset=UTF-8", 204),
    ("a media type's letters", "Content-Type: application/json", "Content-Type: Application/JSON", 200),
    ("an ETag that varies", "ETag: {weak etag}", "ETag: {weak etag}", 200),
    ("modified now", "Last-Modified: {rfc 1123}", "Last-Modified: {rfc 1123}", 200),
    ("a link with a cursor", "Link: </users?after={hex}>; rel=\"next\"",
     "Link: </users?after={hex}>; rel=\"next\"", 200),
    ("what is left", "X-RateLimit-Remaining: {counter}", "X-RateLimit-Remaining: {counter}", 200),
    ("when to come again", "Retry-After: {percent}", "Retry-After: {percent}", 429),
]  # fmt: skip
WRITTEN: list[tuple[str, str, str | bytes]] = [
    ("a page with nonces", "text/html; charset=utf-8", PAGE),
    ("gauges as text", "text/plain; version=0.0.4", METRICS),
    ("XML with a time", "application/xml", XML),
    ("CSV", "text/csv; charset=utf-8", CSV),
    ("a picture", "image/png", PNG),
    ("a word", "text/plain", "pong"),
    ("a line a record", "application/x-ndjson", '{"id":"{uuid}","ok":true}\n{"id":"{uuid}","ok":false}\n'),
    (
        "a calendar",
        "text/calendar",
        "BEGIN:VCALENDAR\r\nUID:{uuid}@shop.example\r\nSUMMARY:Fest\r\nEND:VCALENDAR\r\n",
    ),
    (
        "a script with its build",
        "text/javascript",
        'export const build = "{md5}";\nexport const api = "/v1";\n',
    ),
    ("a time alone", "text/plain", "{iso}\n"),
    ("a number alone", "text/plain", "{counter}"),
    ("a sentence", "text/plain; charset=utf-8", "Grüße von {host}, um {clock} ({took ms})\n"),
]
LEARNED: list[tuple[str, Form]] = [
    ("some of many", lambda chance, n: {"recommended": chance.sample(range(100, 999), 4), "count": 4}),
    (
        "some products of many",
        lambda chance, n: {"items": [{"id": i, "views": i * 7} for i in chance.sample(range(100, 999), 3)]},
    ),
    (
        "a log that grows",
        lambda chance, n: {"log": [{"n": i, "line": f"started {i}"} for i in range(3 + n)], "of": "web"},
    ),
    (
        "a map of sessions",
        lambda chance, n: {
            "user": 1,
            "sessions": [{"id": hexed(16)(chance, n), "from": "web"} for _ in range(2)],
        },
    ),
    (
        "deep in lists",
        lambda chance, n: [[{"a": [{"id": 1, "t": FORMS["iso"](chance, n)}]}], [FORMS["uuid"](chance, n)]],
    ),
    ("in order and not", lambda chance, n: {"names": (["a", "b", "c"], ["c", "a", "b"], ["a", "c", "b"])[n]}),
    (
        "shuffled, with times",
        lambda chance, n: [
            {"id": i, "t": FORMS["iso"](chance, n)} for i in ((1, 2, 3), (3, 1, 2), (2, 3, 1))[n]
        ],
    ),
]


IN_TEXT = ("uuid", "ulid", "sha256", "base64", "jwt", "milliseconds", "iso python", "rfc 1123", "load",
           "iso duration",
           "weak etag", "traceparent", "quote", "host")  # fmt: skip


def noise() -> Iterator[Case]:
    for document in (user, order, products, problem, series, shuffled, gauges):
        yield from (of_json(f"{document.__name__} by others, {i}", document) for i in range(5))
    yield from (of_json(form, probe(form)) for form in FORMS)
    for old, new in MEANINGS:
        yield of_json(f"{old} is {new}", lambda chance, n: {"v": 0}, put("v", Raw(new)), put("v", Raw(old)))
    yield from (of_json(name, document, edit, **config) for name, document, edit, config in ALLOWED)
    yield from (of_headers(*each) for each in ALIKE)
    yield of_headers(
        "not the field that is named",
        "X-Total: 23\nCache-Control: no-store",
        "X-Total: 23",
        headers=["x-total"],
    )
    yield from (of_text(name, kind, text, text) for name, kind, text in WRITTEN)
    for form in IN_TEXT:
        text = f"state: ok\nvalue: {{{form}}}\n"
        yield of_text(f"{form} in text", "text/plain; charset=utf-8", text, text)
    yield from (of_json(name, document) for name, document in LEARNED)
    for i, which in enumerate(("other", "first again", "first again other")):
        yield packed(
            of_json(f"JSON under gzip, {i}", order),
            lambda body: gzip.compress(body, mtime=len(body)),
            which=which,
        )
        yield packed(
            of_text(f"a page under gzip, {i}", "text/html", PAGE, PAGE),
            lambda body: gzip.compress(body, 1),
            which=which,
        )
    for kind in ("application/vnd.api+json", "application/hal+json", "application/problem+json"):
        yield of_json(kind, problem, status=404, kind=kind)
    yield of_json("both break alike", lambda chance, n: {"error": "database", "code": 17}, status=503)
