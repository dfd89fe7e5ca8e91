import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.net.topology import plan

ZONES = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True), min_size=1, max_size=20, unique=True)


def test_nodes_are_spread_over_zones_in_turn() -> None:
    site = plan(3, ["a", "b"])
    assert [(m.name, m.zone, m.address, m.pod_cidr) for m in site.machines] == [
        ("node-1", "a", "172.18.1.11", "10.244.1.0/24"),
        ("node-2", "b", "172.18.2.12", "10.244.2.0/24"),
        ("node-3", "a", "172.18.1.13", "10.244.3.0/24"),
    ]


@given(st.integers(1, 200), ZONES)
def test_addresses_are_unique_and_lie_in_their_zone(nodes: int, zones: list[str]) -> None:
    site = plan(nodes, zones)
    subnets = {z.name: ipaddress.ip_network(z.subnet) for z in site.zones}
    addresses = [m.address for m in site.machines] + [z.gateway for z in site.zones]
    assert len(set(addresses)) == len(addresses)
    assert all(ipaddress.ip_address(m.address) in subnets[m.zone] for m in site.machines)
    assert len({m.pod_cidr for m in site.machines}) == nodes
    for zone in site.zones:
        assert len(f"zone-{zone.name}") <= 15, "an interface's name has at most 15 characters"


@pytest.mark.parametrize(
    ("nodes", "zones", "message"),
    [
        (0, ["a"], "nodes is 0"),
        (201, ["a"], "from 1 to 200"),
        (1, [], "different names"),
        (1, ["a", "a"], "different names"),
        (1, ["Europe"], "lower-case"),
        (1, ["a b"], "lower-case"),
        (1, ["far-away-place"], "at most 8"),
        (1, ["é"], "lower-case"),
    ],
)
def test_bad_sites_are_refused_in_words(nodes: int, zones: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(nodes, zones)
