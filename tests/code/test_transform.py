"""The `transform` policy: JSON rewritten on the way in and out, everything else left to stream by."""

from typing import Any

import pytest

from tetrapylon import Response
from tetrapylon._core.code.json_edit import default, split
from tetrapylon.config import loads
from tetrapylon.errors import ConfigError
from tetrapylon.testing import running

JSON = {"Content-Type": "application/json"}


def transforming(answer: Any = None, /, **settings: Any) -> Any:
    config = {
        "upstreams": {"u": {"targets": ["http://127.0.0.1:9"]}},
        "routes": [{"path": "/", "upstream": "u", "policies": [{"use": "transform", **settings}]}],
    }
    return running(config, u=lambda request: answer)


def raw(content: bytes, status: int = 200, **options: Any) -> Response:
    return Response(content, status, content_type="application/json", **options)


def rewritten(change: dict[str, Any], text: bytes) -> bytes:
    """What the change makes of an answer."""
    with transforming(raw(text), response=change) as served:
        answer = served.get("/")
        assert (answer.status, answer.header("Content-Length")) == (200, str(len(answer.body)))
        return bytes(answer.body)


USER = b'{"id":1.00,"name":"Ada \\"A\\" L","address":{"city":"x","zip":null},"tags":["a","b"],"secret":"s"}'


class TestChanges:
    @pytest.mark.parametrize(
        ("change", "made"),
        [
            ({"pick": ["id", "address.city"]}, b'{"id":1.00,"address":{"city":"x"}}'),
            ({"pick": ["id"], "rename": {"id": "number"}}, b'{"number":1.00}'),
            ({"pick": ["id"], "wrap": "user"}, b'{"user":{"id":1.00}}'),
            (
                {"pick": ["id"], "default": {"id": 0, "n": [1], "a.b": "x"}},
                b'{"id":1.00,"n":[1],"a":{"b":"x"}}',
            ),
            (
                {"template": {"who": "{name}", "n": ["{id}", "{no}"], "t": "<{name}> {id} {tags.1}{{}}"}},
                b'{"who":"Ada \\"A\\" L","n":[1.00,null],"t":"<Ada \\"A\\" L> 1.00 b{}"}',
            ),
            ({"template": "{address}"}, b'{"city":"x","zip":null}'),
            ({"template": {"a": 1, "b": None, "{id}": True}}, b'{"a":1,"b":null,"{id}":true}'),
            ({"template": {"z": "zip: {address.zip}."}}, b'{"z":"zip: ."}'),
            (
                {"drop": ["secret"], "rename": {"name": "who"}, "template": {"x": "{who}", "y": "{secret}"}},
                b'{"x":"Ada \\"A\\" L","y":null}',
            ),
        ],
    )  # fmt: skip
    def test_it_makes_of_an_answer_what_it_says(self, change: dict[str, Any], made: bytes) -> None:
        assert rewritten(change, USER) == made

    def test_what_is_put_in_cannot_break_out(self) -> None:
        text = b'{"a":"\\",\\"admin\\":true,\\"x\\":\\"","b":"\\u0022}"}'
        assert (
            rewritten({"template": {"t": "-{a}-{b}-"}}, text)
            == b'{"t":"-\\",\\"admin\\":true,\\"x\\":\\"-\\"}-"}'
        )

    @pytest.mark.parametrize(
        ("text", "path", "made"),
        [
            ("{}", "a", '{"a":0}'),
            ('{"a":null}', "a", '{"a":null}'),
            ('{ "a" : 1 }', "b", '{"a":1,"b":0}'),
            ('[{"a":1},{},3]', "a", '[{"a":1},{"a":0},3]'),
            ('{"a":{}}', "a.b", '{"a":{"b":0}}'),
            ('{"a":5}', "a.b", '{"a":5}'),
            ("5", "a", "5"),
        ],
    )
    def test_defaults_go_where_nothing_is(self, text: str, path: str, made: str) -> None:
        assert default(text.encode(), split(path), b"0").decode() == made


class TestRequests:
    def test_a_request_is_rewritten_before_it_is_sent(self) -> None:
        with transforming({}, request={"drop": ["admin"], "default": {"page": 1}}) as served:
            served.post("/", body='{"q":"x","admin":true,"\\u0061dmin2":0}', headers=JSON)
            sent = served.upstreams["u"].received[0]
            assert sent.body == b'{"q":"x","\\u0061dmin2":0,"page":1}'
            assert sent.header("Content-Length") == str(len(sent.body))

    @pytest.mark.parametrize(
        "body",
        [b"{", b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"a":"\xff"}', b"[" * 100 + b"]" * 100, b"[1]x"],
    )
    def test_one_that_two_readers_could_take_differently_is_refused(self, body: bytes) -> None:
        with transforming({}, request={"drop": ["a"]}) as served:
            answer = served.request("POST", "/", body=body, headers=JSON)
            assert (answer.status, answer.header("Content-Type")) == (400, "application/problem+json")
            assert served.upstreams["u"].received == []

    def test_other_types_pass_or_are_refused(self) -> None:
        with transforming({}, request={"drop": ["a"]}) as served:
            assert served.post("/", body='{"a":1}', headers={"Content-Type": "text/plain"}).status == 200
            assert served.upstreams["u"].received[0].body == b'{"a":1}'
            assert served.get("/").status == 200
        with transforming({}, request={"drop": ["a"]}, other="refuse") as served:
            assert served.post("/", body='{"a":1}', headers={"Content-Type": "text/plain"}).status == 415
            assert served.post("/", body='{"a":1}').status == 415
            assert served.get("/").status == 200

    def test_one_that_is_too_large(self) -> None:
        with transforming({}, request={"drop": ["a"]}, limit="100B") as served:
            assert served.post("/", body=b" " * 101, headers=JSON).status == 413


class TestAnswers:
    @pytest.mark.parametrize("body", [b'{"secret":1', b'"\xff"', b"\x1f\x8b\x08\x00", b"{}{}"])
    def test_what_cannot_be_rewritten_does_not_pass_as_it_is(self, body: bytes) -> None:
        with transforming(raw(body), response={"drop": ["secret"]}) as served:
            answer = served.get("/")
            assert (answer.status, answer.header("Content-Type")) == (502, "application/problem+json")
            assert body not in answer.body

    def test_nor_does_part_of_a_body(self) -> None:
        with transforming(raw(b'"secret":1}', 206), response={"drop": ["secret"]}) as served:
            assert served.get("/", headers={"Range": "bytes=1-"}).status == 502
            assert served.upstreams["u"].received[0].header("Range") is None

    def test_nor_one_that_is_too_large(self) -> None:
        with transforming(raw(b"[" + b"1," * 100 + b"1]"), response={"drop": ["a"]}, limit="100B") as served:
            assert served.get("/").status == 502

    def test_errors_and_other_types_pass(self) -> None:
        for answer in (raw(b'{"a":1}', 404), Response("plain", 200)):
            with transforming(answer, response={"drop": ["a"]}) as served:
                got = served.get("/")
                assert (got.status, got.text) in ((404, '{"a":1}'), (200, "plain"))

    def test_other_types_may_be_refused(self) -> None:
        with transforming(Response("plain", 200), response={"drop": ["a"]}, other="refuse") as served:
            assert served.get("/").status == 502
        with transforming(None, response={"drop": ["a"]}, other="refuse") as served:
            assert served.get("/").status == 204

    def test_what_told_of_the_body_as_it_was_goes(self) -> None:
        headers = {"ETag": '"x"', "Content-Digest": "sha-256=:x:"}
        with transforming(raw(b'{"a":1}', headers=headers), response={"drop": ["a"]}) as served:
            answer = served.get("/", headers={"Accept-Encoding": "gzip", "If-None-Match": 'W/"x"'})
            assert (answer.text, answer.header("ETag"), answer.header("Content-Digest")) == (
                "{}",
                'W/"x"',
                None,
            )
            sent = served.upstreams["u"].received[0]
            assert (sent.header("Accept-Encoding"), sent.header("If-None-Match")) == (None, 'W/"x"')

    def test_head_tells_no_length_that_get_would_not(self) -> None:
        with transforming(raw(b'{"a":1}'), response={"drop": ["a"]}) as served:
            answer = served.request("HEAD", "/")
            assert (answer.status, answer.header("Content-Length")) == (200, None)

    def test_an_aggregate_s_answer_is_rewritten_as_any(self) -> None:
        config = {
            "upstreams": {"u": {"targets": ["http://127.0.0.1:9"]}},
            "routes": [
                {
                    "path": "/",
                    "aggregate": {"a": {"upstream": "u", "path": "/"}},
                    "policies": [{"use": "transform", "response": {"template": {"all": "{a.n}"}}}],
                }
            ],
        }
        with running(config, u=lambda request: {"n": [1, 2]}) as served:
            assert served.get("/").text == '{"all":[1,2]}'


@pytest.mark.parametrize(
    ("settings", "path", "said"),
    [
        ("limit: 1MiB", "", "nothing is rewritten"),
        ("request: {}", ".request", "nothing is rewritten"),
        ("request: {pick: [a..b]}", ".request.pick[0]", "empty name"),
        ("request: {pick: [a], drop: [b]}", ".request.drop[0]", "not within what is picked"),
        ("response: {template: {a: ['{b']}}", ".response.template.a[0]", "a stray brace"),
        ("response: {template: '{}'}", ".response.template", "a stray brace"),
        ("response: {template: '{a..b}'}", ".response.template", "empty name"),
        ("response: {wrapp: x}", ".response.wrapp", "did you mean `wrap`?"),
        ("response: {wrap: x}, other: drop", ".other", "expected pass or refuse"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: str, path: str, said: str) -> None:
    text = (
        "upstreams: {u: {targets: ['http://127.0.0.1:1']}}\n"
        f"routes: [{{path: /, upstream: u, policies: [{{use: transform, {settings}}}]}}]\n"
    )
    with pytest.raises(ConfigError) as error:
        loads(text, "gateway.yaml")
    (problem,) = error.value.problems
    assert problem.path == f"routes[0].policies[0]{path}"
    assert said in str(problem)
