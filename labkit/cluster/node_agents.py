"""The agents of all nodes: kubelets, kube-proxies, and the leases by which the nodes show that they live.

store ──> Kubelet, NodeRules ──> pods and rules of each node
  └─ a node that is cut off hears nothing and says nothing, and catches up when it is back
"""

from __future__ import annotations

from collections.abc import Mapping

from labkit.cluster.cloud import Cloud
from labkit.cluster.datacenter import DataCenter
from labkit.cluster.health_ports import HealthPorts
from labkit.cluster.kubelet import Kubelet
from labkit.cluster.node_rules import NodeRules
from labkit.cluster.nodes import Agents
from labkit.cluster.plane import Plane
from labkit.cluster.wanted import Wanted
from labkit.cluster.work import Work
from labkit.cni.plugins import PLUGINS
from labkit.linux.iptables import Variant
from labkit.net.rules import Family
from labkit.sandbox.channel import Peer
from labkit.services.allocator import CIDRS
from labkit.workloads.nodes.pace import Pace


class NodeAgents:
    """Kubelets and leases begin at once, kube-proxies with `start`."""

    def __init__(
        self,
        plane: Plane,
        datacenter: DataCenter,
        wanted: Wanted,
        variant: Variant,
        roles: Mapping[str, Peer],
        work: Work,
    ) -> None:
        self._plane = plane
        store, machines, links = plane.store, datacenter.machines, datacenter.machine_links
        self.nodes = Agents(store, list(machines), Pace(wanted.pace), datacenter.cut)
        silent = self.nodes.silent.__contains__
        self.kubelet = Kubelet(store, machines, links, PLUGINS[wanted.cni], roles, work, self.everywhere)
        families: tuple[Family, ...] = ("IPv4", "IPv6") if wanted.dual else ("IPv4",)
        cidrs = [CIDRS[family] for family in families]
        self.rules = NodeRules(store, machines, variant, work, cidrs, families)
        self.kubelet.networks.joined, self.kubelet.networks.left = self.rules.join, self.rules.leave
        self.kubelet.silent = self.rules.silent = silent
        self.nodes.back += [self.kubelet.rejoin, self.rules.rejoin]
        self.nodes.start()
        self.health = HealthPorts(store, machines)
        self.cloud = Cloud(store, datacenter, variant, work, self.everywhere)

    async def start(self) -> None:
        """Write the first rules; from now on they follow the store."""
        await self.rules.start()

    async def everywhere(self) -> None:
        """Wait until what has changed so far is in the rules of every node that hears of it."""
        await self._plane.reconciled()
        await self.rules.synced()
