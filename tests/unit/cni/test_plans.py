import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cni import masquerade, routes
from labkit.cni.ipam import Range
from labkit.cni.plugins import PLUGINS
from labkit.cni.wiring import Attachment, Route, result
from labkit.errors import LabError
from labkit.net.topology import plan

POD = Attachment("uid-1", "/run/netns/cni-1", "/run/netns/node-1", "10.244.1.5", "10.244.1.0/24", "10.244.1.1", 5)


def test_ptp_routes_everything_by_the_gateway() -> None:
    wiring = PLUGINS["ptp"].plan(POD)
    assert wiring.pod_routes == (
        Route("10.244.1.1/32"),
        Route("10.244.1.0/24", "10.244.1.1"),
        Route("default", "10.244.1.1"),
    )
    assert wiring.node_routes == (Route("10.244.1.5/32"),)
    assert wiring.host_addresses == ("10.244.1.1/32",)
    assert not wiring.bridge and not wiring.prefix_route


def test_bridge_makes_neighbours() -> None:
    wiring = PLUGINS["bridge"].plan(POD)
    assert wiring.bridge == "cni0" and wiring.prefix_route
    assert wiring.pod_routes == (Route("default", "10.244.1.1"),)
    assert not wiring.node_routes and not wiring.host_addresses


DUAL = msgspec.structs.replace(
    POD, address6="fd00:10:244:1::5", subnet6="fd00:10:244:1::/64", gateway6="fd00:10:244:1::1"
)


def test_both_ip_families_side_by_side() -> None:
    wiring = PLUGINS["ptp"].plan(DUAL)
    assert wiring.pod_addresses == ("10.244.1.5/24", "fd00:10:244:1::5/64")
    assert wiring.host_addresses == ("10.244.1.1/32", "fd00:10:244:1::1/128")
    assert wiring.node_routes == (Route("10.244.1.5/32"), Route("fd00:10:244:1::5/128"))
    assert wiring.pod_routes[:3] == PLUGINS["ptp"].plan(POD).pod_routes
    assert wiring.pod_routes[3:] == (
        Route("fd00:10:244:1::1/128"),
        Route("fd00:10:244:1::/64", "fd00:10:244:1::1"),
        Route("default", "fd00:10:244:1::1"),
    )
    bridged = PLUGINS["bridge"].plan(DUAL)
    assert bridged.pod_routes == (Route("default", "10.244.1.1"), Route("default", "fd00:10:244:1::1"))
    made = result(wiring)
    assert [ip["gateway"] for ip in made["ips"]] == ["10.244.1.1", "fd00:10:244:1::1"]
    assert [route["dst"] for route in made["routes"]] == ["0.0.0.0/0", "::/0"]


@pytest.mark.parametrize("name", PLUGINS)
def test_results_have_cni_form(name: str) -> None:
    wiring = PLUGINS[name].plan(POD)
    made = result(wiring)
    assert made["cniVersion"] == "1.1.0"
    assert made["ips"] == [{"address": "10.244.1.5/24", "gateway": "10.244.1.1", "interface": 1}]
    assert made["interfaces"][1] == {"name": "eth0", "mac": "0a:58:0a:f4:01:05", "sandbox": "/run/netns/cni-1"}
    assert len(wiring.host_interface) <= 15


def test_addresses_are_handed_out_in_turn_and_reused_last() -> None:
    pods = Range("10.244.1.0/24")
    assert pods.gateway == "10.244.1.1"
    assert [pods.allocate() for _ in range(2)] == [("10.244.1.2", 2), ("10.244.1.3", 3)]
    pods.release(2)
    assert pods.allocate() == ("10.244.1.4", 4)


@given(st.integers(24, 29), st.data())
def test_no_address_is_given_twice(prefix: int, data: st.DataObject) -> None:
    pods = Range(f"10.244.1.0/{prefix}")
    room = 2 ** (32 - prefix) - 3
    held: dict[str, int] = {}
    for _ in range(60):
        if held and (len(held) == room or data.draw(st.booleans())):
            pods.release(held.pop(data.draw(st.sampled_from(sorted(held)))))
        else:
            address, number = pods.allocate()
            assert address not in held
            held[address] = number


def test_a_full_range_says_so() -> None:
    pods = Range("10.244.1.0/29")
    for _ in range(5):
        pods.allocate()
    with pytest.raises(LabError, match=r"no free address in 10\.244\.1\.0/29: 5 pods"):
        pods.allocate()


def test_nodes_know_their_zone_and_the_router_knows_all() -> None:
    ways = routes.plan(plan(3, ["a", "b"]))
    assert ways["node-1"] == (Route("10.244.3.0/24", "172.18.1.13"),)
    assert ways["node-2"] == ()
    assert len(ways["router"]) == 3


def test_traffic_to_pods_is_not_masqueraded() -> None:
    chain = masquerade.plan("10.244.0.0/16").chain("nat", "KIND-MASQ-AGENT")
    assert chain and [rule.target for rule in chain.rules] == ["RETURN", "MASQUERADE"]
    assert chain.rules[0].text.startswith("-d 10.244.0.0/16 ")


def test_both_families_have_routes_and_are_masqueraded() -> None:
    site = plan(3, ["a", "b"], dual=True)
    assert site.machines[2].addresses == ("172.18.1.13", "fd00:172:18:1::13")
    assert site.machines[2].pod_cidrs == ("10.244.3.0/24", "fd00:10:244:3::/64")
    assert routes.plan(site)["node-1"] == (
        Route("10.244.3.0/24", "172.18.1.13"),
        Route("fd00:10:244:3::/64", "fd00:172:18:1::13"),
    )
    rules = masquerade.plan("fd00:10:244::/48")
    assert rules.family == "IPv6" and "-d fd00:10:244::/48" in str(rules)
    assert masquerade.plan("10.244.0.0/16").family == "IPv4"
