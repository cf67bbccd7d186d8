"""A response that one policy wants whole while others change it: each sees what those before it have made."""

import gzip
from typing import Any

import pytest

from tests.code.test_plugins import config
from tetrapylon import Request, Response
from tetrapylon.testing import running

HERE = "tests.e2e.test_collected"
PLAIN = "The quick brown fox jumps over the lazy dog. " * 100


class Shout:
    def on_body(self, request: Request, piece: bytes) -> bytes:
        return piece.upper()


class Whole:
    def on_response(self, request: Request, response: Response) -> None:
        response.body = b"<" + response.body + b">"


class Patient:
    async def on_response(self, request: Request, response: Response) -> None:
        import asyncio

        await asyncio.sleep(0)
        response.body = b"(" + response.body + b")"


class Lazy:
    async def on_body(self, request: Request, piece: bytes) -> bytes:
        import asyncio

        await asyncio.sleep(0)
        return piece.swapcase()


class Looks:
    def on_response(self, request: Request, response: Response) -> None:
        response.headers["X-Length"] = str(len(response.body))


def use(*kinds: type) -> list[dict[str, Any]]:
    return [{"use": f"{HERE}:{kind.__name__}"} for kind in kinds]


def up(request: Request) -> Response:
    return Response(PLAIN)


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (use(Whole, Shout), f"<{PLAIN.upper()}>"),
        (use(Shout, Whole), f"<{PLAIN}>".upper()),
        (use(Whole, Lazy), f"<{PLAIN.swapcase()}>"),
        (use(Lazy, Whole, Lazy), f"<{PLAIN}>"),
        (use(Patient, Shout, Whole), f"(<{PLAIN}>".upper() + ")"),
        (use(Whole, Lazy, Patient, Shout), f"<({PLAIN.lower()})>"),
        (use(Looks, Lazy), PLAIN.swapcase()),
    ],
    ids=lambda each: "-".join(one["use"].partition(":")[2] for one in each) if isinstance(each, list) else "",
)
def test_the_last_of_the_list_is_the_first_on_the_way_out(
    policies: list[dict[str, Any]], expected: str
) -> None:
    with running(config(*policies), up=up) as served:
        for _ in range(2):
            assert served.get("/").text == expected


def test_what_is_compressed_first_is_collected_so_and_whole() -> None:
    policies = [*use(Looks), {"use": "compress"}]
    with running(config(*policies), up=up) as served:
        answer = served.get("/", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(answer.body).decode() == PLAIN
    assert answer.header("X-Length") == str(len(answer.body))


def test_a_decompressed_one_is_collected_plain() -> None:
    def packed(request: Request) -> Response:
        return Response(gzip.compress(PLAIN.encode()), headers={"Content-Encoding": "gzip"})

    with running(config(*use(Whole), {"use": "decompress", "responses": True}), up=packed) as served:
        assert served.get("/").text == f"<{PLAIN}>"


def test_one_that_grows_too_large_on_its_way_is_refused() -> None:
    limited = {**use(Whole)[0], "body_limit": len(PLAIN) - 1}
    with running(config(limited, *use(Lazy)), up=up) as served:
        assert served.get("/").status == 502
    with running(config(limited, *use(Shout)), up=up) as served:
        assert served.get("/").status == 502
