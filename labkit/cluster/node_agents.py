"""The agents of all nodes: kubelets, kube-proxies, and the leases by which the nodes show that they live.

store ──> Kubelet, NodeRules ──> pods and rules of each node
  └─ a node that is cut off hears nothing and says nothing, and catches up when it is back
"""

from __future__ import annotations

import asyncio
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
from labkit.net.topology import POD_NETWORK, POD_NETWORK_6
from labkit.proxy.config import ProxyConfig
from labkit.sandbox.channel import Peer
from labkit.services.allocator import SERVICE_CIDR, SERVICE_CIDR_6
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
        config = ProxyConfig(cluster_cidr=POD_NETWORK, service_cidrs=(SERVICE_CIDR,))
        self.rules = NodeRules(store, machines, wanted.proxy_mode, variant, config, work)
        self._families = [self.rules]
        if wanted.dual:
            six = ProxyConfig(cluster_cidr=POD_NETWORK_6, service_cidrs=(SERVICE_CIDR_6,), family="IPv6")
            self._families.append(NodeRules(store, machines, wanted.proxy_mode, variant, six, work))
        self.kubelet.networks.joined, self.kubelet.networks.left = self.rules.join, self.rules.leave
        self.kubelet.silent = silent
        for rules in self._families:
            rules.silent = silent
        self.nodes.back += [self.kubelet.rejoin, *(rules.rejoin for rules in self._families)]
        self.nodes.start()
        self.health = HealthPorts(store, machines)
        self.cloud = Cloud(store, datacenter, variant, work, self.everywhere)

    async def start(self) -> None:
        """Write the first rules; from now on they follow the store."""
        await asyncio.gather(*(rules.start() for rules in self._families))

    async def everywhere(self) -> None:
        """Wait until what has changed so far is in the rules of every node that hears of it."""
        await self._plane.reconciled()
        for rules in self._families:
            await rules.synced()
