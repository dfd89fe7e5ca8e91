"""Pods by both plugins: they reach their neighbours, the world and back, and leave nothing when they go."""

import subprocess
from ipaddress import ip_network

import pytest
from inside import in_sandbox

from labkit.cluster.datacenter import DataCenter
from labkit.cni import routes
from labkit.cni.ipam import Range
from labkit.cni.plugins import PLUGINS
from labkit.cni.wiring import Attachment, Wiring, connect, disconnect
from labkit.linux import netns
from labkit.net.topology import plan


def ping(path: str, address: str) -> bool:
    with netns.entered(path):
        return subprocess.run(["ping", "-c1", "-W2", address], capture_output=True).returncode == 0


def route_table(path: str) -> str:
    with netns.entered(path):
        return subprocess.run(["ip", "route"], capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", PLUGINS)
@in_sandbox
def test_pods_reach_each_other_within_a_node_across_nodes_and_zones(name: str) -> None:
    site = plan(3, ["a", "b"])
    datacenter = DataCenter(site, {})
    for machine, ways in routes.plan(site).items():
        routes.apply(datacenter.net[machine].links, ways)
    pods: list[Wiring] = []
    for machine in site.machines:
        pod_range = Range(machine.pod_cidr)
        node = datacenter.net[machine.name]
        PLUGINS[name].setup(node.links, [f"{pod_range.gateway}/24"])
        before = {link["name"] for link in node.links.links()}
        for _ in range(2):
            address, number = pod_range.allocate()
            path = netns.create(f"cni-{address}")
            a = Attachment(f"uid-{address}", path, node.netns, address, pod_range.subnet, pod_range.gateway, number)
            pods.append(PLUGINS[name].plan(a))
            connect(pods[-1], node.links)
    for wiring in pods[:2]:
        for other in pods:
            assert ping(wiring.attachment.netns, other.attachment.address), (wiring, other)
        assert ping(wiring.attachment.netns, "203.0.113.10"), "the client outside"
    if name == "ptp":
        first = pods[0].attachment
        assert f"10.244.1.0/24 via {first.gateway} dev eth0" in route_table(first.netns)
        assert f"{first.address} dev {pods[0].host_interface}" in route_table(first.node_netns)
    last = datacenter.net[site.machines[-1].name]
    disconnect(pods[-2:], last.links)
    for wiring in pods[-2:]:
        netns.delete(wiring.attachment.netns)
    assert {link["name"] for link in last.links.links()} == before
    assert str(ip_network(site.machines[-1].pod_cidr)[2]) not in route_table(last.netns)
