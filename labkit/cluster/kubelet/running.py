"""A pod that a kubelet holds, and the place that it runs in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

import msgspec

from labkit.api.objects import Pod
from labkit.cluster.kubelet.networks import Attached
from labkit.cluster.kubelet.status import FINE, Why
from labkit.control.store import Raw
from labkit.dns import resolv
from labkit.net.place import Place
from labkit.workloads import images

DNS_IP = "10.96.0.10"


class Proxies(Protocol):
    """Who runs the kube-proxies of nodes, each as the container of a pod."""

    def ran(self, node: str, uid: str, status: Raw) -> None:
        """The container of the pod with this uid has a new status."""

    async def leaves(self, node: str, uid: str) -> None:
        """The pod ends."""


class Running(msgspec.Struct):
    """A pod that this kubelet holds: where it runs, what its containers are.

    grace  seconds that it is given to end, from the moment it is to; None before. over: its containers have ended
    """

    pod: Pod
    place: Place
    network: Attached | None = None
    statuses: Raw = {}
    grace: int | None = None
    over: bool = False
    failure: Why = FINE
    deadline: asyncio.TimerHandle | None = None

    @property
    def dns(self) -> bool:
        """Whether the role `dns` serves in it."""
        return any(images.is_dns(c.image) for c in self.pod.spec.containers)

    @property
    def proxy(self) -> str:
        """The container that is the kube-proxy of the pod's node, whose network it shares; empty where none is."""
        own = (c.name for c in self.pod.spec.containers if images.is_proxy(c.image))
        return next(own, "") if self.pod.spec.host_network else ""


def place(pod: Pod, node: Place, network: Attached | None) -> Place:
    """Where a pod runs on a node; without a network of its own, in the node's."""
    addresses = network.addresses if network else node.addresses
    shared = "" if network else Path("/etc/hosts").read_text()
    return Place(
        name=pod.key,
        kind="pod",
        netns=network.netns if network else node.netns,
        hostname=resolv.hostname(pod) if network else node.hostname,
        node=node.name,
        zone=node.zone,
        addresses=addresses,
        resolv_conf=resolv.resolv_conf(pod, DNS_IP).text(),
        hosts=resolv.hosts(pod, list(addresses), node=shared),
    )


def unprobed(pod: Raw) -> Raw:
    """The pod without CoreDNS's probes: the lab itself waits until it answers."""
    containers = [_without_probes(c) if images.is_dns(c["image"]) else c for c in pod["spec"]["containers"]]
    return {**pod, "spec": {**pod["spec"], "containers": containers}}


def _without_probes(container: Raw) -> Raw:
    return {field: value for field, value in container.items() if not field.endswith("Probe")}
