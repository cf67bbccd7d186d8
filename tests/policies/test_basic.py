"""`basic`: names and passwords, by two kinds of hashes, and verdicts that are kept."""

import base64
import threading
from collections.abc import Iterator
from typing import Any

import argon2
import bcrypt
import pytest

from tests.policies.rig import Guarded, guarded

ARGON2 = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("corr:ect horse")
BCRYPT = bcrypt.hashpw("pässword".encode(), bcrypt.gensalt(4)).decode()
CONSUMERS = [
    {"name": "ada", "passwords": [ARGON2], "groups": ["staff"]},
    {"name": "b o b", "passwords": [BCRYPT.replace("$2b$", "$2y$"), ARGON2]},
    {"name": "nobody"},
]


def shown(user: str, password: str, scheme: str = "Basic") -> tuple[str, str]:
    return ("Authorization", f"{scheme} " + base64.b64encode(f"{user}:{password}".encode()).decode())


@pytest.fixture(scope="module")
def basic() -> Iterator[Guarded]:
    with guarded({"use": "basic", "realm": 'the "shop"'}, consumers=CONSUMERS) as rig:
        yield rig


@pytest.mark.parametrize(
    ("user", "password"), [("ada", "corr:ect horse"), ("b o b", "pässword"), ("b o b", "corr:ect horse")]
)
def test_the_right_password(basic: Guarded, user: str, password: str) -> None:
    for scheme in ("Basic", "bAsIc"):
        assert basic.passes(shown(user, password, scheme)).headers.all("X-Consumer") == [user]
        assert basic.logged()["consumer"] == user


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((), "missing"),
        ((("Authorization", "Bearer abc"),), "missing"),
        ((shown("ada", "wrong-pass"),), "password"),
        ((shown("ada", ""),), "password"),
        ((shown("ada", "x" * 2000),), "password"),
        ((shown("b o b", "x" * 80),), "password"),
        ((shown("b o b", "a\0b"),), "password"),
        ((shown("nobody", "wrong-pass"),), "password"),
        ((shown("eve", "corr:ect horse"),), "password"),
        ((shown("", ""),), "password"),
        ((("Authorization", "Basic"),), "malformed"),
        ((("Authorization", "Basic !!!"),), "malformed"),
        ((("Authorization", "Basic YWRh"),), "malformed"),
        ((("Authorization", "Basic /////w=="),), "malformed"),
        ((("Authorization", "Basic " + "A" * 5000),), "malformed"),
        ((shown("ada", "corr:ect horse"), shown("ada", "corr:ect horse")), "malformed"),
    ],
)  # fmt: skip
def test_others_are_refused(basic: Guarded, fields: tuple[tuple[str, str], ...], reason: str) -> None:
    before = basic.counted("basic", reason)
    response = basic.refuses(*fields, status=401, reason=reason)
    assert response.headers.get("WWW-Authenticate") == 'Basic realm="the \\"shop\\"", charset="UTF-8"'
    assert basic.counted("basic", reason) == before + 1


def test_no_password_is_logged(basic: Guarded) -> None:
    basic.passes(shown("ada", "corr:ect horse"))
    basic.says_nothing_of("horse", "wrong-pass", shown("ada", "corr:ect horse")[1].split()[1])


def test_a_verdict_is_kept_and_shared() -> None:
    """A slow hash is taken once, however many ask at once, and the loop serves others meanwhile."""
    slow = bcrypt.hashpw(b"slow-pass", bcrypt.gensalt(13)).decode()
    consumers = [{"name": "ada", "passwords": [slow]}, {"name": "bob", "passwords": [BCRYPT]}]
    with guarded({"use": "basic"}, consumers=consumers) as rig:
        statuses: list[int] = []
        asking = [
            threading.Thread(target=lambda: statuses.append(rig.ask(shown("ada", "slow-pass")).status))
            for _ in range(5)
        ]
        for thread in asking:
            thread.start()
        assert rig.ask(shown("bob", "pässword")).status == 200
        for thread in asking:
            thread.join()
        assert statuses == [200] * 5
        for _ in range(20):
            assert rig.ask(shown("ada", "slow-pass")).status == 200
        timed = [line["duration_us"] for line in _lines(rig) if line.get("consumer") == "ada"]
        assert sum(timed[-20:]) < max(timed[:5])


def _lines(rig: Guarded) -> list[dict[str, Any]]:
    rig.logged()
    return rig.gateway.access_log
