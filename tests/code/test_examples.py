"""What the pages about handlers and plugins show is code of examples/shop, and it does what they say."""

import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

import pytest

from examples.shop.app import app
from tests.meta.source import ROOT
from tetrapylon import Tetrapylon
from tetrapylon.testing import running

SHOP = ROOT / "examples" / "shop"
POLICIES = "examples.shop.policies"


def bare(text: str) -> str:
    """Without indentation and empty lines, which differ where a method is shown by itself."""
    return "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())


def proxied(*policies: dict[str, Any]) -> dict[str, Any]:
    return {
        "upstreams": {"up": {"targets": ["http://up.invalid"]}},
        "routes": [{"path": "/{rest:path}", "upstream": "up", "policies": list(policies)}],
    }


@pytest.mark.parametrize("page", ["handlers.md", "plugins.md"])
def test_the_code_of_the_pages_is_that_of_the_examples(page: str) -> None:
    source = bare("".join(path.read_text() for path in sorted(Path(SHOP).glob("*.py"))))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    assert blocks
    shown = [block for block in blocks if "pytest_plugins" not in block]
    assert [block for block in shown if bare(block) not in source] == []


def test_the_shop_serves() -> None:
    with running(app) as shop:
        answer = shop.get("/quotes/1?size=5")
        assert answer.json() == {
            "id": 1,
            "symbol": "ACME",
            "price": 12.5,
            "size": 5,
            "open": True,
            "tags": ["nyse"],
        }
        assert shop.get("/quotes/9").status == 404
        told = shop.get("/quotes/1?size=0").json()
        assert told["errors"] == [{"in": "query", "field": "size", "detail": "Expected `int` >= 1"}]
        order = {"customer": "Ada", "lines": [{"sku": "a", "count": 3}]}
        taken = shop.post("/orders", json=order)
        assert (taken.status, taken.json()) == (201, {"tenant": "public", "pieces": 3})
        wrong = shop.post("/orders", json={"customer": "Ada", "lines": []})
        assert (wrong.status, wrong.json()["errors"][0]["field"]) == (422, "lines")
        assert shop.get("/prices?last=1").text == 'id: 0\ndata: {"n":0,"price":12.5}\n\n'
        assert shop.get("/cached/2").json()["price"] == 99.0


def test_its_openapi_describes_each_handler_once() -> None:
    with running(app) as shop:
        made = shop.get("/openapi.json").json()
        page = shop.get("/docs")
    assert made["openapi"] == "3.1.0"
    assert sorted(made["paths"]) == ["/cached/{id}", "/orders", "/prices", "/quotes/{id}"]
    quote = made["paths"]["/quotes/{id}"]["get"]
    assert quote["summary"] == "The price of one thing, now."
    assert quote["parameters"][1] == {
        "name": "size",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "default": 100},
    }
    answer = quote["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Quote"}
    assert "Quote" in made["components"]["schemas"]
    assert "text/event-stream" in made["paths"]["/prices"]["get"]["responses"]["200"]["content"]
    assert page.header("Content-Type") == "text/html; charset=utf-8"
    outside = re.findall(r"(?:src|href)=\"(?!/)", page.text)
    assert outside == [], "the page needs nothing from elsewhere"


def test_the_cookbook_does_what_it_says() -> None:
    body = b'{"event":"paid"}'
    signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    with running(proxied({"use": f"{POLICIES}:Signed", "secret": "s3cret"}), up=lambda r: "in") as served:
        assert served.post("/hook", body=body, headers={"X-Signature": signature}).text == "in"
        assert served.post("/hook", body=body + b" ", headers={"X-Signature": signature}).status == 401
    with running(proxied({"use": f"{POLICIES}:Envelope"}), up=lambda r: {"a": 1}) as served:
        assert served.get("/").json()["data"] == {"a": 1}
    with running(proxied({"use": f"{POLICIES}:Sessions"}), up=lambda r: r.headers["X-User"]) as served:
        assert served.get("/").status == 302
        assert served.get("/", headers={"Cookie": "session=s1"}).text == "ada"
    with running(
        proxied({"use": f"{POLICIES}:Tenant", "known": ["acme"], "default": "acme"}), up=lambda r: "in"
    ) as served:
        assert served.get("/").text == "in"
        assert served.get("/", headers={"X-Tenant": "other"}).status == 403
    with running(proxied({"use": f"{POLICIES}:Slow", "seconds": 0.0}), up=lambda r: "in") as served:
        assert served.get("/").text == "in"


def test_maintenance_is_a_flag_in_what_is_shared() -> None:
    def lifespan(shared: dict[str, Any]) -> Any:
        class Flag:
            async def __aenter__(self) -> None:
                shared["maintenance"] = True

            async def __aexit__(self, *_: object) -> None: ...

        return Flag()

    from tetrapylon import PolicyUse

    closed = Tetrapylon(lifespan=lifespan)

    @closed.get("/", policies=[PolicyUse(use=f"{POLICIES}:Maintenance")])
    def open_() -> str:
        return "open"

    with running(closed) as served:
        assert (served.get("/").status, served.get("/").header("Retry-After")) == (503, "60")
