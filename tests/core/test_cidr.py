"""Networks against the plain model: look at each, keep the most specific that holds the address."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tetrapylon._core.net.cidr import Networks

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def model(networks: list[tuple[Network, int]], address: Address) -> int | None:
    best: tuple[int, int] | None = None
    for network, mark in networks:
        if (
            network.version == address.version
            and address in network
            and (best is None or network.prefixlen > best[0])
        ):
            best = (network.prefixlen, mark)
    return None if best is None else best[1]


# Few distinct bits, so that networks hold each other and addresses fall into them.
WORDS = st.sampled_from([0, 1, 2, 3, 0x0A000000, 0x0A010000, 0x0A800001, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
V4 = st.one_of(WORDS, st.integers(0, 2**32 - 1)).map(ipaddress.IPv4Address)
V6 = (
    st.tuples(WORDS, WORDS, WORDS, WORDS)
    .map(lambda w: w[0] << 96 | w[1] << 64 | w[2] << 32 | w[3])
    .filter(lambda n: n >> 32 != 0xFFFF)
    .map(ipaddress.IPv6Address)
)
ADDRESSES = st.one_of(V4, V6)
NETWORKS = st.one_of(
    st.tuples(V4, st.integers(0, 32)), st.tuples(V6, st.one_of(st.integers(0, 128), st.just(64)))
).map(lambda pair: ipaddress.ip_network(pair, strict=False))


@settings(max_examples=500)
@given(
    networks=st.lists(st.tuples(NETWORKS, st.integers(0, 3)), max_size=30),
    addresses=st.lists(ADDRESSES, min_size=1, max_size=20),
)
def test_the_most_specific_network_decides(
    networks: list[tuple[Network, int]], addresses: list[Address]
) -> None:
    built = Networks((str(network), mark) for network, mark in networks)
    inside = [network[0] for network, _ in networks] + [network[-1] for network, _ in networks]
    for address in addresses + inside:
        assert built.mark(str(address)) == model(networks, address), address


def test_thousands_of_networks() -> None:
    some = [(f"10.{i >> 8}.{i & 255}.0/24", i) for i in range(20_000)]
    built = Networks([*some, ("10.0.0.0/8", 65_536)])
    assert len(built) == 20_001
    assert built.mark("10.7.9.200") == 7 * 256 + 9
    assert built.mark("10.200.0.1") == 65_536
    assert built.mark("11.0.0.1") is None


def test_ipv4_within_ipv6_is_ipv4() -> None:  # RFC 4291, 2.5.5.2
    built = Networks([("::ffff:10.0.0.0/104", 1), ("192.0.2.0/24", 2), ("::/0", 3)])
    assert built.mark("10.1.2.3") == 1
    assert built.mark("::ffff:10.1.2.3") == 1
    assert built.mark("::ffff:192.0.2.9") == 2
    assert built.mark("198.51.100.1") is None
    assert built.mark("2001:db8::1") == 3


def test_a_bare_address_is_a_network_of_one() -> None:
    built = Networks([("192.0.2.1", 0), ("2001:db8::1", 1)])
    assert [built.mark(a) for a in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")] == [
        0,
        None,
        1,
        None,
    ]


@pytest.mark.parametrize("text", ["", "unix:", "192.0.2", "192.0.2.1x", "a" * 100, "::1%lo", "1.2.3.4\0"])
def test_what_is_no_address_lies_nowhere(text: str) -> None:
    assert Networks([("0.0.0.0/0", 0), ("::/0", 0)]).mark(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "x/8", "::ffff:10.0.0.0/95", "1.1.1.1/٣"],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|prefix"):
        Networks([(text, 0)])
