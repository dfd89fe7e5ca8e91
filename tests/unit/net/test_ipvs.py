"""Servers and sets in the words of ipvsadm and ipset, and back."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.net import ipset, ipvs
from labkit.net.ipset import AddressSet, Element
from labkit.net.ipvs import SCHEDULERS, RealServer, VirtualServer

PORTS = st.integers(1, 65535)
ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
PROTOCOLS = st.sampled_from(["tcp", "udp", "sctp"])
REAL = st.builds(RealServer, ADDRESSES, PORTS, st.integers(0, 65535))
VIRTUAL = st.builds(
    VirtualServer,
    ADDRESSES,
    PORTS,
    PROTOCOLS,
    st.sampled_from(SCHEDULERS),
    st.integers(0, 86400),
    st.booleans(),
    st.lists(REAL, max_size=4).map(tuple),
)
ELEMENTS = {
    "hash:ip": st.builds(Element, ADDRESSES),
    "hash:ip,port": st.builds(Element, ADDRESSES, PROTOCOLS, PORTS),
    "hash:ip,port,ip": st.builds(Element, ADDRESSES, PROTOCOLS, PORTS, ADDRESSES),
    "hash:ip,port,net": st.builds(Element, ADDRESSES, PROTOCOLS, PORTS, ADDRESSES.map(lambda a: f"{a}/17")),
    "bitmap:port": st.builds(Element, port=PORTS),
}
SETS = st.one_of(
    *(
        st.builds(AddressSet, st.just(kind), st.just(kind), elements=st.frozensets(elements, max_size=5))
        for kind, elements in ELEMENTS.items()
    )
)


@given(st.lists(VIRTUAL, max_size=5))
def test_servers(servers: list[VirtualServer]) -> None:
    printed = [msgspec.structs.replace(one, servers=one.listed) for one in servers]
    assert ipvs.parse("".join(map(str, servers))) == printed


def test_real_servers_are_printed_by_their_addresses_as_numbers() -> None:
    addresses = ("10.244.1.10", 80), ("10.244.1.9", 8080), ("10.244.1.9", 80)
    web = VirtualServer("10.96.0.10", 80, "tcp", servers=tuple(RealServer(*each) for each in addresses))
    assert [server.address for server in web.listed] == ["10.244.1.9:80", "10.244.1.9:8080", "10.244.1.10:80"]
    assert [web.number(server) for server in web.servers] == [3, 2, 1]


@given(st.lists(SETS, max_size=4, unique_by=lambda one: one.name))
def test_sets(sets: list[AddressSet]) -> None:
    assert ipset.parse("".join(map(str, sets))) == sets


def test_what_a_newer_kernel_adds_to_a_set_is_passed_over() -> None:
    saved = "create A hash:ip family inet6 hashsize 64 maxelem 9 bucketsize 12 initval 0x5\nadd A fd00::1\n"
    assert ipset.parse(saved) == [
        AddressSet("A", "hash:ip", "IPv6", elements=frozenset({Element("fd00::1")}), hash_size=64, most=9)
    ]


@pytest.mark.parametrize("line", ["-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1", "TCP  10.0.0.1:80 rr", "-Z"])
def test_other_lines_of_servers(line: str) -> None:
    with pytest.raises(ValueError, match="ipvsadm-save does not print"):
        ipvs.parse(line)


@pytest.mark.parametrize("line", ["add A 10.0.0.1", "Name: A", "create A"])
def test_other_lines_of_sets(line: str) -> None:
    with pytest.raises(ValueError, match="ipset does not print"):
        ipset.parse(line)
