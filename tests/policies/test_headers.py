"""`headers`: set, add, remove and rename, with variables."""

from typing import Any

import pytest

from tests.harness import answers
from tests.policies.rigs import behind, problems


def sent(
    request: dict[str, Any], *headers: tuple[str, str], target: str = "/", **config: Any
) -> list[tuple[str, str]]:
    """The fields that the upstream sees."""
    with behind({"use": "headers", "request": request}, **config) as (client, upstream, _):
        assert client.ask("GET", target, headers).status == 200
        return list(upstream.requests[0].headers)


def answered(response: dict[str, Any], *headers: tuple[str, str], **config: Any) -> list[tuple[str, str]]:
    """The fields that the client sees of an answer with these."""
    script = answers.raw(answers.response(b"ok", headers=headers))
    with behind({"use": "headers", "response": response}, script=script, **config) as (client, _, _gateway):
        return list(client.ask("GET", "/shop/7", [("X-Asked", "for")]).headers)


class TestRequests:
    def test_set_replaces_what_the_client_says_however_it_spells_it(self) -> None:
        seen = sent(
            {"set": {"X-Tenant": "acme"}}, ("x-tenant", "evil"), ("X_Tenant", "evil"), ("X-Tenants", "2")
        )
        assert [value for name, value in seen if name.lower().replace("_", "-") == "x-tenant"] == ["acme"]
        assert ("X-Tenants", "2") in seen

    def test_add_keeps_what_is_there(self) -> None:
        seen = sent({"add": {"X-Tag": "b"}}, ("X-Tag", "a"))
        assert [value for name, value in seen if name == "X-Tag"] == ["a", "b"]

    def test_remove_by_name_and_by_prefix(self) -> None:
        seen = dict(
            sent({"remove": ["x-one", "X-Internal-*"]}, ("X-One", "1"), ("X-Internal-A", "2"), ("X-Two", "3"))
        )
        assert not {"X-One", "X-Internal-A"} & set(seen)
        assert seen["X-Two"] == "3"

    @pytest.mark.parametrize("removed", ["X_Internal_*", "X-Internal-*"])
    def test_a_prefix_is_removed_however_it_is_spelt(self, removed: str) -> None:
        """To a WSGI upstream both are HTTP_X_INTERNAL_..."""
        fields = ("X_Internal_A", "1"), ("X-Internal-B", "2"), ("x_internal-c", "3"), ("X-Inter", "4")
        names = {name for name, _ in sent({"remove": [removed]}, *fields)}
        assert names & {name for name, _ in fields} == {"X-Inter"}

    def test_rename_moves_all_lines_and_overrules_the_new_name(self) -> None:
        seen = sent({"rename": {"X-Old": "X-New"}}, ("x-old", "1"), ("X-New", "mine"), ("X-Old", "2"))
        assert [pair for pair in seen if pair[0].lower() in ("x-old", "x-new")] == [
            ("X-New", "1"),
            ("X-New", "2"),
        ]

    def test_connection_cannot_take_away_what_is_set(self) -> None:
        assert ("X-Tenant", "acme") in sent({"set": {"X-Tenant": "acme"}}, ("Connection", "X-Tenant"))

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("{client}", "127.0.0.1"),
            ("{host}", "gateway.test"),
            ("{authority}", "gateway.test"),
            ("{scheme}", "http"),
            ("{method} {path}?{query}", "GET /items/7?a=1&b=2"),
            ("{target}", "/items/7?a=1&b=2"),
            ("{rest}", "items/7"),
            ("{param:rest}", "items/7"),
            ("{header:x-mine}-{header:X-Mine}", "7-7"),
            ("{route}", "/{rest:path}"),
            ("{{{rest}}}", "{items/7}"),
            ("a{consumer}b", "ab"),
        ],
    )
    def test_variables(self, text: str, value: str) -> None:
        assert ("X-Seen", value) in sent(
            {"set": {"X-Seen": text}}, ("X-Mine", "7"), target="/items/7?a=1&b=2"
        )

    def test_a_value_that_comes_out_empty_takes_the_field_away(self) -> None:
        seen = dict(
            sent({"set": {"X-User": "{consumer}"}, "add": {"X-B": "{header:x-b2}"}}, ("X-User", "evil"))
        )
        assert not {"X-User", "X-B"} & set(seen)

    def test_a_field_can_be_made_of_itself(self) -> None:
        assert ("X-Mine", "<7>") in sent({"set": {"X-Mine": "<{header:X-Mine}>"}}, ("X-Mine", "7"))

    def test_the_request_id(self) -> None:
        with behind(
            {"use": "request_id"}, {"use": "headers", "request": {"set": {"X-Trace": "{request_id}"}}}
        ) as rig:
            rig.client.ask()
            seen = rig.upstream.requests[0].headers
            assert seen.get("X-Trace") == seen.get("X-Request-Id")

    def test_what_a_trusted_proxy_says_of_the_client(self) -> None:
        config: dict[str, Any] = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}
        fields = (("X-Forwarded-For", "192.0.2.9"), ("X-Forwarded-Proto", "https"))
        assert ("X-Seen", "https://192.0.2.9") in sent(
            {"set": {"X-Seen": "{scheme}://{client}"}}, *fields, **config
        )


class TestResponses:
    def test_all_four(self) -> None:
        edits = {
            "rename": {"X-Old": "X-New"},
            "remove": ["X-Powered-By"],
            "set": {"X-Rest": "{rest}", "X-Asked": "{header:X-Asked}"},
            "add": {"Set-Cookie": "a=1"},
        }
        seen = answered(
            edits, ("X-Old", "1"), ("x-powered-by", "php"), ("X-Rest", "0"), ("Set-Cookie", "b=2")
        )
        assert [pair for pair in seen if pair[0] not in ("Date", "Content-Length")] == [
            ("X-New", "1"),
            ("Set-Cookie", "b=2"),
            ("X-Rest", "shop/7"),
            ("X-Asked", "for"),
            ("Set-Cookie", "a=1"),
        ]

    def test_the_gateways_own_answers_too(self) -> None:
        dead = {"targets": ["http://127.0.0.1:1"]}
        with behind({"use": "headers", "response": {"set": {"X-Via": "us"}}}, upstream=dead) as (
            client,
            _,
            _gateway,
        ):
            answer = client.ask()
            assert (answer.status, answer.headers.get("X-Via")) == (502, "us")


class TestBadSettings:
    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"request": {"set": {"Host": "a"}}}, "the gateway sets Host itself; use `host` of the upstream"),
            ({"request": {"add": {"X_Forwarded-For": "a"}}}, "the gateway sets X_Forwarded-For itself"),
            ({"response": {"remove": ["Content-Length"]}}, "the gateway sets Content-Length itself"),
            ({"response": {"rename": {"A": "Connection"}}}, "the gateway sets Connection itself"),
            ({"request": {"remove": ["*"]}}, "'*' is no name of a field"),
            ({"request": {"set": {"X-A": "{clint}"}}}, "{clint} means nothing here; did you mean {client}?"),
            ({"request": {"set": {"X-A": "{id}"}}}, "{id} means nothing here"),
            ({"request": {"set": {"X-A": "{client"}}}, "a stray brace"),
            ({"request": {"set": {"X-A": "{header:a b}"}}}, "{header:a b} names no header"),
            ({"request": {"set": {"X A": "1"}}}, "'X A' is not a header name"),
        ],
    )
    def test_says_what_and_where(self, settings: dict[str, Any], said: str) -> None:
        found = problems({"use": "headers", **settings})
        assert len(found) == 1, found
        assert said in found[0]
        assert found[0].startswith("routes[0].policies[0].")

    def test_parameters_belong_to_a_route(self) -> None:
        policy = {"use": "headers", "request": {"set": {"X-A": "{rest}"}}}
        assert problems(policy) == []
        assert "{rest} means nothing here" in problems(policy, everywhere=True)[0]
