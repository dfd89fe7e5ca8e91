"""Links, addresses and routes against the real kernel, and its refusals in words."""

import subprocess

import pytest
from inside import in_sandbox

from labkit.errors import NetlinkError
from labkit.linux import netns
from labkit.linux.addresses import AddressWatch
from labkit.linux.nexthops import Nexthops
from labkit.linux.rtnetlink import Links


def sh(path: str, command: str) -> str:
    with netns.entered(path):
        return subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout


@in_sandbox
def test_two_namespaces_meet_over_a_veth_pair() -> None:
    a, b = netns.create("a"), netns.create("b")
    with Links(a) as left, Links(b) as right:
        left.add_veth("to-b", "to-a", b, index=40, mac="02:00:00:00:00:01", peer_mac="02:00:00:00:00:02", mtu=1400)
        for links, name, address in ((left, "to-b", "10.9.0.1/24"), (right, "to-a", "10.9.0.2/24")):
            with links.batch():
                links.set_link(name, up=True)
                links.add_address(name, address)
        assert "1 received" in sh(a, "ping -c1 -W2 10.9.0.2")
        found = {link["name"]: link for link in left.links()}["to-b"]
        assert found["index"] == 40 and found["up"] and found["carrier"] and found["kind"] == "veth"
        assert (found["mac"], found["mtu"]) == ("02:00:00:00:00:01", 1400)
        assert {"index": 40, "address": "10.9.0.1/24"} in left.addresses()
        left.delete_link("to-b")
        assert "to-a" not in {link["name"] for link in right.links()}


@in_sandbox
def test_routes_are_added() -> None:
    path = netns.create("a")
    with Links(path) as links:
        links.add_link("br0", "bridge", up=True)
        links.add_address("br0", "10.9.0.1/24")
        links.add_address("br0", "10.8.0.1/24", prefix_route=False)
        links.add_route("default", via="10.9.0.254")
        links.add_route("10.77.0.0/16", dev="br0", src="10.9.0.1")
        ways = {(r["to"], r["via"]) for r in links.routes() if ":" not in r["to"]}
        assert ways == {("10.9.0.0/24", ""), ("0.0.0.0/0", "10.9.0.254"), ("10.77.0.0/16", "")}
        assert "10.77.0.0/16 dev br0" in sh(path, "ip route")


@in_sandbox
def test_refusals_say_what_and_why() -> None:
    with Links(netns.create("a")) as links:
        links.add_link("br0", "bridge")
        with pytest.raises(NetlinkError, match=r"cannot add bridge br0 in /run/netns/a: File exists"):
            links.add_link("br0", "bridge")
        with pytest.raises(NetlinkError, match=r"Unknown device type"):
            links.add_link("x", "nonesuch")
        with pytest.raises(NetlinkError, match=r"no interface eth9 in /run/netns/a"):
            links.add_address("eth9", "10.0.0.1/24")
        with pytest.raises(NetlinkError, match=r"cannot add route to default .*unreachable"):
            links.add_route("default", via="192.0.2.1")


@in_sandbox
def test_a_batch_does_the_rest_when_one_is_refused() -> None:
    with Links(netns.create("a")) as links:
        with pytest.raises(NetlinkError, match="File exists"), links.batch():
            links.add_link("one", "bridge")
            links.add_link("one", "bridge")
            links.add_link("two", "bridge")
        assert {"one", "two"} <= {link["name"] for link in links.links()}


@in_sandbox
def test_a_namespace_name_is_taken_once_and_free_after_delete() -> None:
    path = netns.create("a")
    with pytest.raises(FileExistsError):
        netns.create("a")
    netns.delete(path)
    netns.delete(netns.create("a"))


@in_sandbox
def test_links_are_deleted_together_and_others_stay() -> None:
    with Links(netns.create("a")) as links:
        for number in range(5):
            links.add_veth(f"v{number}", f"w{number}", index=10 + number)
        links.delete_links([])
        links.delete_links(["v0", "v2", "v4"])
        assert {link["name"] for link in links.links()} == {"lo", "v1", "w1", "v3", "w3"}
        with pytest.raises(NetlinkError, match="cannot group v0"):
            links.delete_links(["v0"])


@in_sandbox
def test_a_route_leads_to_the_members_of_a_group() -> None:
    path = netns.create("router")
    with Nexthops(path) as router:
        router.add_link("br0", "bridge", up=True)
        router.add_address("br0", "10.9.0.1/24")
        for number in (1, 2, 3):
            router.add_hop(number, f"10.9.0.1{number}", "br0")
        router.set_group(100, [1, 2])
        router.lead("198.51.100.1/32", 100)
        assert _hops(path) == {"10.9.0.11", "10.9.0.12"}
        assert "type resilient buckets 256" in sh(path, "ip nexthop")
        router.set_group(100, [3])
        assert _hops(path) == {"10.9.0.13"}
        router.refuse("198.51.100.1/32")
        assert "unreachable 198.51.100.1" in sh(path, "ip route")
        router.lead("198.51.100.1/32", 100)
        router.delete_hop(100)
        assert "198.51.100.1" not in sh(path, "ip route")
        router.refuse("198.51.100.1/32")
        router.delete_route("198.51.100.1/32")
        assert "198.51.100.1" not in sh(path, "ip route")
        with pytest.raises(NetlinkError, match="set next hop group 100"):
            router.set_group(100, [77])


def _hops(path: str) -> set[str]:
    """Where the route to the address leads."""
    words = sh(path, "ip route show 198.51.100.1").split()
    return {words[at + 1] for at, word in enumerate(words) if word == "via"}


@in_sandbox
def test_a_batch_may_be_larger_than_the_sockets_buffers() -> None:
    path = netns.create("many")
    with Links(path) as links, links.batch():
        for n in range(2000):
            links.add_address("lo", f"10.1.{n // 250}.{n % 250 + 1}/32")
    found = subprocess.run(["ip", "-n", "many", "-4", "-o", "addr"], check=True, capture_output=True, text=True)
    assert len(found.stdout.splitlines()) == 2000


@in_sandbox
def test_addresses_that_come_and_go_are_noticed() -> None:
    path = netns.create("watched")
    with Links(path) as links:
        links.add_link("eth0", "bridge")
        links.add_link("eth1", "bridge")
        with AddressWatch(path) as watch:
            assert not watch.moved()
            for change in (links.add_address, links.delete_address):
                change("eth0", "192.0.2.1/32")
                assert watch.moved()
                assert not watch.moved()
                change("eth1", "192.0.2.2/32")
                assert not watch.moved(besides=links.index("eth1"))
                change("eth0", "192.0.2.3/32")
                change("eth1", "192.0.2.4/32")
                assert watch.moved(besides=links.index("eth1"))
            for number in range(2000):  # more than the socket has room for
                links.add_address("eth1", f"10.1.{number // 250}.{number % 250 + 1}/32")
            assert watch.moved(besides=links.index("eth1"))
            assert not watch.moved()
