"""A node and pods wired to it (a routed /32 each, as kindnet does), for tests that need no whole cluster."""

from __future__ import annotations

import subprocess

from labkit.linux import netns
from labkit.net.place import Place

GATEWAY = "10.244.1.1"
RESOLV = "nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"


def node_with_pods(count: int) -> tuple[str, list[Place]]:
    """Path of the node's namespace, and the pods: shop/pod-0 at 10.244.1.2, shop/pod-1 at 10.244.1.3, …"""
    node = netns.create("node")
    batch = []
    pods = []
    for number in range(count):
        name, address = f"pod-{number}", f"10.244.1.{number + 2}"
        path = netns.create(name)
        batch += [
            f"-n node link add v{number} type veth peer name eth0 netns {name}",
            f"-n node addr add {GATEWAY}/32 dev v{number}",
            f"-n node link set v{number} up",
            f"-n {name} link set lo up",
            f"-n {name} link set eth0 up",
            f"-n {name} addr add {address}/32 dev eth0",
            f"-n {name} route add {GATEWAY} dev eth0 scope link",
            f"-n {name} route add default via {GATEWAY}",
            f"-n node route add {address} dev v{number}",
        ]
        hosts = f"127.0.0.1 localhost\n{address} {name}\n"
        pods.append(
            Place(f"shop/{name}", "pod", path, name, "node", "", (address,), RESOLV, hosts),
        )
    for command in batch:
        subprocess.run(["ip", *command.split()], check=True)
    with netns.entered(node):
        subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
    return node, pods


def load(node: str, table: str, rules: str) -> None:
    """Load rules into a table of a node."""
    with netns.entered(node):
        subprocess.run(["iptables-legacy-restore"], input=f"*{table}\n{rules}COMMIT\n".encode(), check=True)
