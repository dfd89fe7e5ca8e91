"""nf_tables as values: intervals, and texts as nft prints them."""

from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.net.nft import Element, Hook, NamedSet, Table
from labkit.net.nft.intervals import merged
from labkit.net.nft.table import duration

PREFIXES = st.lists(
    st.builds(lambda n, size: str(ip_network((n, size), strict=False)), st.integers(0, 255), st.integers(24, 32)),
    min_size=1,
)


@given(PREFIXES)
def test_merged_intervals_hold_the_same_addresses(prefixes: list[str]) -> None:
    found = merged(prefixes)
    for number in range(258):
        within = any(ip_address(number) in ip_network(prefix) for prefix in prefixes)
        assert within == any(one.first <= number <= one.last for one in found)
    assert all(a.last + 1 < b.first for a, b in pairwise(found)), "sorted, with gaps"


@pytest.mark.parametrize(
    ("prefixes", "texts"),
    [
        (["10.0.0.0/32"], ["10.0.0.0"]),
        (["203.0.113.0/25", "203.0.113.128/25"], ["203.0.113.0/24"]),
        (["10.0.0.3/32", "10.0.0.1/32", "10.0.0.2"], ["10.0.0.1-10.0.0.3"]),
        (["255.255.255.0/24", "0.0.0.0/8"], ["0.0.0.0/8", "255.255.255.0/24"]),
        (["fe00::/16", "fd00::/8"], ["fd00::-fe00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
        (["::/0", "fd00::/8"], ["::/0"]),
    ],
)
def test_intervals_as_text(prefixes: list[str], texts: list[str]) -> None:
    assert [str(one) for one in merged(prefixes)] == texts


@pytest.mark.parametrize(
    ("seconds", "text"), [(10800, "3h"), (90, "1m30s"), (86400, "1d"), (3661, "1h1m1s"), (90061, "1d1h1m1s"), (5, "5s")]
)
def test_duration(seconds: int, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("hook", "text"),
    [
        (Hook("filter", "prerouting", -110), "priority dstnat - 10;"),
        (Hook("filter", "output", -110), "priority -110;"),
        (Hook("nat", "prerouting", -100), "priority dstnat;"),
        (Hook("nat", "output", -100), "priority -100;"),
        (Hook("nat", "postrouting", 105), "priority srcnat + 5;"),
        (Hook("filter", "forward", 0), "priority filter;"),
    ],
)
def test_priorities_have_names_where_they_are_usual(hook: Hook, text: str) -> None:
    assert text in str(hook)


def test_elements_are_sorted_as_nft_sorts_them() -> None:
    def listed(one: NamedSet, *keys: tuple[str, ...]) -> str:
        text = str(Table("ip", "t", (one,), elements={one.name: {key: Element() for key in keys}}))
        return text.split("elements = { ")[1].split(" }")[0]

    addresses = NamedSet("s", ("ipv4_addr",))
    assert listed(addresses, ("10.0.0.10",), ("10.0.0.9",), ("9.0.0.11",)) == (
        "9.0.0.11, 10.0.0.9,\n\t\t\t     10.0.0.10"
    )
    ports = NamedSet("m", ("ipv4_addr", "inet_proto", "inet_service"), verdicts=True)
    keys = [
        ("5.6.7.8", "udp", "443"),
        ("5.6.7.8", "sctp", "8080"),
        ("172.30.0.45", "tcp", "80"),
        ("5.6.7.8", "tcp", "53"),
    ]
    shown = listed(ports, *keys).replace("\n\t\t\t    ", "").split(", ")
    assert [key.split(" . ")[2] for key in shown] == ["53", "80", "8080", "443"]
    six = NamedSet("s6", ("ipv6_addr",))
    assert listed(six, ("fd00::2",), ("fd00::1",)) == "fd00::1,\n\t\t\t     fd00::2"
