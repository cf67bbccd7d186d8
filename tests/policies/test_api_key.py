"""`api_key`: whose key it is, where it may stand, and what becomes of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Gateway, eventually, proxy
from tests.policies.rig import Guarded, guarded, sha256

KEY, OTHER = "k-3f9a-secret", "k-77b1-secret"
CONSUMERS = [
    {
        "name": "mobile",
        "api_keys": [sha256(KEY), sha256("k&e=y %")],
        "groups": ["partner", "eu"],
        "metadata": {"tenant": "acme"},
    },
    {"name": "web", "api_keys": [sha256(OTHER)]},
]


@pytest.fixture(scope="module")
def header() -> Iterator[Guarded]:
    told = {"X-Consumer": "name", "X-Consumer-Groups": "groups", "X-Tenant": "metadata.tenant"}
    policy = {"use": "api_key", "header": "X-API-Key", "headers": told}
    with guarded(policy, consumers=CONSUMERS) as rig:
        yield rig


class TestHeader:
    def test_a_key_makes_its_consumer_known(self, header: Guarded) -> None:
        seen = header.passes(("X-API-Key", KEY)).headers
        assert seen.all("X-Consumer") == ["mobile"]
        assert seen.all("X-Consumer-Groups") == ["eu,partner"]
        assert seen.all("X-Tenant") == ["acme"]
        assert seen.get("X-API-Key") == KEY
        assert header.logged()["consumer"] == "mobile"

    def test_what_is_not_known_of_one_is_not_told(self, header: Guarded) -> None:
        seen = header.passes(("X-API-Key", OTHER)).headers
        assert seen.all("X-Consumer") == ["web"]
        assert not seen.has("X-Tenant")
        assert not seen.has("X-Consumer-Groups")

    @pytest.mark.parametrize("name", ["X-Consumer", "x-consumer", "X_Consumer", "X-Tenant", "X_TENANT"])
    def test_nobody_can_say_it_themselves(self, header: Guarded, name: str) -> None:
        seen = header.passes(("X-API-Key", OTHER), (name, "admin"), ("Connection", "X-Consumer")).headers
        said = [v for f, v in seen if f.lower().replace("_", "-") in ("x-consumer", "x-tenant")]
        assert said == ["web"]

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ((), "missing"),
            ((("X-API-Key", ""),), "malformed"),
            ((("X-API-Key", KEY), ("X-API-Key", KEY)), "malformed"),
            ((("X-API-Key", "k" * 1025),), "malformed"),
            ((("X-API-Key", KEY + "x"),), "unknown_key"),
            ((("X-API-Key", KEY[:-1]),), "unknown_key"),
            ((("X-API-Key", KEY.upper()),), "unknown_key"),
            ((("X-API-Key", sha256(KEY)),), "unknown_key"),
            ((("X-API-Key", "\xff\xfe"),), "unknown_key"),
            ((("X_API_Key", KEY),), "missing"),
        ],
    )
    def test_others_are_refused(
        self, header: Guarded, fields: tuple[tuple[str, str], ...], reason: str
    ) -> None:
        before = header.counted("api_key", reason)
        response = header.refuses(*fields, status=401, reason=reason)
        assert response.headers.get("WWW-Authenticate") == "ApiKey"
        assert header.counted("api_key", reason) == before + 1

    def test_no_key_is_logged(self, header: Guarded) -> None:
        header.passes(("X-API-Key", KEY))
        header.says_nothing_of(KEY, OTHER)


@pytest.fixture(scope="module")
def places() -> Iterator[Guarded]:
    policy = {"use": "api_key", "cookie": "key", "query": "key", "header": "Authorization", "strip": True}
    with guarded(policy, consumers=CONSUMERS) as rig:
        yield rig


class TestPlaces:
    @pytest.mark.parametrize(
        ("sent", "forwarded"),
        [
            (f"key={KEY}", None),
            (f"a=1; key={KEY}", "a=1"),
            (f"key={KEY}; a=1", "a=1"),
            (f"a=1; key={KEY}; b=2", "a=1; b=2"),
            (f'a=1;key="{KEY}";b=2', "a=1;b=2"),
            (f"xkey=1; key={KEY}; key2=2", "xkey=1; key2=2"),
        ],
    )
    def test_a_cookie(self, places: Guarded, sent: str, forwarded: str | None) -> None:
        assert places.passes(("Cookie", sent)).headers.get("Cookie") == forwarded

    @pytest.mark.parametrize(
        ("sent", "forwarded", "logged"),
        [
            (f"/x?key={KEY}", "/x", "/x?key=***"),
            (f"/x?key={KEY}&a=1", "/x?a=1", "/x?key=***&a=1"),
            (f"/x?a=1&key={KEY}", "/x?a=1", "/x?a=1&key=***"),
            (f"/x?a=key&key={KEY}&b", "/x?a=key&b", "/x?a=key&key=***&b"),
            ("/x?key=k%26e%3dy+%25", "/x", "/x?key=***"),
        ],
    )
    def test_the_query(self, places: Guarded, sent: str, forwarded: str, logged: str) -> None:
        assert places.passes(target=sent).target == forwarded
        assert places.logged()["target"] == logged

    def test_a_bearer_token(self, places: Guarded) -> None:
        seen = places.passes(("Authorization", f"Bearer {KEY}"), ("Cookie", "a=1")).headers
        assert not seen.has("Authorization")
        assert seen.get("Cookie") == "a=1"

    @pytest.mark.parametrize(
        ("fields", "target", "reason"),
        [
            ((("Authorization", f"Basic {KEY}"),), "/", "missing"),
            ((("Authorization", f"Bearerx {KEY}"),), "/", "missing"),
            ((("Authorization", "Bearer"),), "/", "malformed"),
            ((("Authorization", f"Bearer {KEY}"), ("Cookie", f"key={KEY}")), "/", "malformed"),
            ((("Cookie", f"key={KEY}"), ("Cookie", f"key={KEY}")), "/", "malformed"),
            ((("Cookie", f"key={KEY}; key={OTHER}"),), "/", "malformed"),
            ((("Cookie", f"Key={KEY}"),), "/", "missing"),
            ((("Cookie", "key="),), "/", "malformed"),
            ((("Cookie", "; ;;=;key"),), "/", "missing"),
            ((), "/?key=", "malformed"),
            ((), f"/?key={KEY}&key={KEY}", "malformed"),
            ((), "/?key=%zz-secret", "malformed"),
            ((), f"/?key={KEY}%00", "unknown_key"),
            ((), f"/?xkey={KEY}", "missing"),
        ],
    )
    def test_others_are_refused(
        self, places: Guarded, fields: tuple[tuple[str, str], ...], target: str, reason: str
    ) -> None:
        places.refuses(*fields, target=target, status=401, reason=reason)
        if "xkey" not in target:
            places.says_nothing_of("-secret")

    def test_a_query_that_goes_on_keeps_its_key(self) -> None:
        with guarded({"use": "api_key", "query": "key"}, consumers=CONSUMERS) as rig:
            assert rig.passes(target=f"/a%20b?key={KEY}&c=1").target == f"/a%20b?key={KEY}&c=1"
            rig.says_nothing_of(KEY)


def test_a_request_that_shows_nothing_may_go_on() -> None:
    with guarded({"use": "api_key", "optional": True}, consumers=CONSUMERS) as rig:
        assert not rig.passes(("X-Consumer", "mobile")).headers.has("X-Consumer")
        assert rig.passes(("X-API-Key", KEY)).headers.get("X-Consumer") == "mobile"
        rig.refuses(("X-API-Key", "no"), status=401, reason="unknown_key")


def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{sha256(OTHER)} partner  eu  us\n{sha256('third')} mobile\n")
    with guarded({"use": "api_key", "file": str(file)}, consumers=CONSUMERS[:1]) as rig:
        assert rig.passes(("X-API-Key", KEY)).headers.get("X-Consumer") == "mobile"
        seen = rig.passes(("X-API-Key", OTHER)).headers
        assert (seen.get("X-Consumer"), seen.get("X-Consumer-Groups")) == ("partner", "eu,us")
        assert rig.passes(("X-API-Key", "third")).headers.get("X-Consumer-Groups") == "eu,partner"
        file.write_text(f"{sha256('new')} partner\n")
        eventually(lambda: rig.ask(("X-API-Key", "new")).status == 200, "the new key is known", within=10)
        rig.refuses(("X-API-Key", OTHER), status=401, reason="unknown_key")
        assert rig.passes(("X-API-Key", KEY)).headers.get("X-Consumer") == "mobile"
        file.write_text("plain-text-key partner\n")
        line = rig.gateway.wait_line("keys read before stay", within=10)
        assert f"{file}:1: this is no key" in line
        assert rig.ask(("X-API-Key", "new")).status == 200
        rig.says_nothing_of("plain-text-key")


def test_many_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("".join(f"{sha256(f'key-{i}')} consumer-{i}\n" for i in range(20_000)))
    config = proxy("http://127.0.0.1:9", policies=[{"use": "api_key", "file": str(file)}])
    config["routes"] = [{"path": "/", "respond": {"status": 200}}]
    with Gateway(config) as gateway, gateway.client() as client:
        for i in (0, 7, 19_999):
            assert client.ask("GET", "/", [("X-API-Key", f"key-{i}")]).status == 200
        assert client.ask("GET", "/", [("X-API-Key", "key-20000")]).status == 401
