"""`ip`: which addresses may come in, and whose address it is behind proxies."""

from collections.abc import Iterator

import pytest

from tests.policies.rig import Guarded, guarded

TRUSTING = {"trusted_proxies": ["127.0.0.0/8"]}


def client(address: str) -> tuple[str, str]:
    return ("X-Forwarded-For", address)


@pytest.fixture(scope="module")
def fenced() -> Iterator[Guarded]:
    policy = {
        "use": "ip",
        "allow": ["10.0.0.0/8", "10.66.6.0/24", "2001:db8::/32", "192.0.2.7/32"],
        "deny": ["10.66.0.0/16", "2001:db8:bad::/48"],
    }
    with guarded(policy, server=TRUSTING) as rig:
        yield rig


@pytest.mark.parametrize("address", ["10.1.2.3", "10.66.6.1", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3"])
def test_these_come_in(fenced: Guarded, address: str) -> None:
    fenced.passes(client(address))


@pytest.mark.parametrize(
    "address",
    ["10.66.0.1", "192.0.2.8", "11.0.0.1", "2001:db8:bad::1", "2001:db9::1", "rubbish", "127.0.0.1"],
)
def test_these_do_not(fenced: Guarded, address: str) -> None:
    fenced.refuses(client(address), status=403, reason="address")


def test_refusals_are_counted(fenced: Guarded) -> None:
    before = fenced.counted("ip", "address")
    fenced.refuses(status=403, reason="address")
    assert fenced.counted("ip", "address") == before + 1


def test_nobody_says_their_address_themselves() -> None:
    with guarded({"use": "ip", "allow": ["10.0.0.0/8"]}) as rig:
        rig.refuses(client("10.0.0.1"), ("Forwarded", "for=10.0.0.1"), status=403, reason="address")


def test_without_allow_all_others_come_in() -> None:
    many = [f"10.{i >> 8}.{i & 255}.0/24" for i in range(5000)]
    with guarded({"use": "ip", "deny": many}, server=TRUSTING) as rig:
        rig.passes(client("192.0.2.1"))
        rig.refuses(client("10.7.9.200"), status=403, reason="address")
