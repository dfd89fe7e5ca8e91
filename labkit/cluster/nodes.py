"""Nodes as the control plane has them: what their agents register, how they show that they live, how they fail.

    agent ── Lease every few seconds ──> store <── NodeLifecycle
      └ silent while its node is cut off: nothing that it knows or does reaches the store

Source: kubernetes/pkg/kubelet/kubelet_node_status.go, nodestatus/setters.go; component-helpers/apimachinery/lease of
v1.34.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import labkit
from labkit.control import conditions
from labkit.control.chance import Chance
from labkit.control.deletion import timestamp
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store
from labkit.errors import LabError, NotFound
from labkit.net.topology import Machine
from labkit.sandbox.channel import Handler
from labkit.workloads.nodes.lifecycle import LEASES
from labkit.workloads.nodes.pace import Pace

KUBELET = "v1.34.0"
CAPACITY = {
    "cpu": "8", "ephemeral-storage": "102626232Ki", "hugepages-1Gi": "0", "hugepages-2Mi": "0", "memory": "32886084Ki",
    "pods": "250",
}  # fmt: skip
"""The same on every machine, so that a manifest finds the same room everywhere; pods as many as have addresses."""
ALLOCATABLE = {**CAPACITY, "ephemeral-storage": "94580335255", "memory": "32783684Ki"}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def registered(machine: Machine, seed: int, now: datetime) -> Raw:
    """A Node as its kubelet registers it."""
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": machine.name,
            "labels": {
                "beta.kubernetes.io/arch": architecture,
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture,
                "kubernetes.io/hostname": machine.name,
                "kubernetes.io/os": "linux",
                "topology.kubernetes.io/region": "lab",
                "topology.kubernetes.io/zone": machine.zone,
            },
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                "volumes.kubernetes.io/controller-managed-attach-detach": "true",
            },
        },
        "spec": {"podCIDR": machine.pod_cidr, "podCIDRs": list(machine.pod_cidrs)},
        "status": {
            "addresses": [
                *({"type": "InternalIP", "address": address} for address in machine.addresses),
                {"type": "Hostname", "address": machine.name},
            ],
            "allocatable": ALLOCATABLE,
            "capacity": CAPACITY,
            "conditions": healthy(now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": _info(machine.name, seed, architecture),
        },
    }


def healthy(now: datetime) -> list[Raw]:
    """The conditions of a node that has nothing to complain of."""
    states = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    )
    time = timestamp(now)
    return [{**conditions.make(*state), "lastHeartbeatTime": time, "lastTransitionTime": time} for state in states]


class Agents:
    """The agents of all nodes. `cut` pulls a node's cable or puts it back: cut(name, True) cuts it off.

    silent  the nodes that are cut off now; back: told of each that has come back
    """

    def __init__(self, store: Store, names: Sequence[str], pace: Pace, cut: Callable[[str, bool], None]) -> None:
        self.silent: set[str] = set()
        self.back: list[Callable[[str], None]] = []
        self._store = store
        self._names = list(names)
        self._pace = pace
        self._cut = cut

    def handlers(self) -> dict[str, Handler]:
        return {"fail_node": self.fail, "recover_node": self.recover}

    def start(self) -> None:
        """Renew the leases of all nodes that are not silent, now and again and again."""
        self.renew()
        asyncio.get_running_loop().call_later(self._pace.renewal, self.start)

    def renew(self) -> None:
        with self._store.transaction():
            for name in self._names:
                node = self._store.find("Node", "", name)
                if node is not None and name not in self.silent:
                    self._renew(node)

    def fail(self, name: str) -> None:
        """Cut a node off from everything, as if its cable had been pulled. Raises `NotFound`, `LabError`."""
        self._known(name)
        if name in self.silent:
            raise LabError(f"{name} has failed already: bring it back with recover()")
        self._cut(name, True)
        self.silent.add(name)

    def recover(self, name: str) -> None:
        """Connect a failed node again; its agent reports at once. Raises `NotFound`, `LabError`."""
        self._known(name)
        if name not in self.silent:
            raise LabError(f"{name} has not failed")
        self._cut(name, False)
        self.silent.discard(name)
        if (node := self._store.find("Node", "", name)) is not None:
            self._renew(node)
            conditions.write(self._store, node, *(_undated(each) for each in healthy(self._store.now())))
            said = f"Node {name} status is now: NodeReady"
            Recorder(self._store, "kubelet", name).event(node, "Normal", "NodeReady", said)
        for told in self.back:
            told(name)

    def _known(self, name: str) -> None:
        if name not in self._names:
            raise NotFound(f"there is no node {name!r}: the nodes are {', '.join(self._names)}")

    def _renew(self, node: Raw) -> None:
        name = node["metadata"]["name"]
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": max(1, round(self._pace.lease)),
            "renewTime": self._store.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if self._store.find("Lease", LEASES, name) is not None:
            self._store.update("Lease", LEASES, name, lambda raw: raw.update(spec=spec))
            return
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        metadata = {"name": name, "namespace": LEASES, "ownerReferences": [owner]}
        self._store.create(
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        )


def _undated(condition: Raw) -> Raw:
    return {name: value for name, value in condition.items() if name != "lastTransitionTime"}


def _info(name: str, seed: int, architecture: str) -> dict[str, Any]:
    """What the node says of its system; its ids are the same in every lab of this seed."""
    chance = Chance(seed)
    return {
        "architecture": architecture,
        "bootID": chance.uid("boot", name),
        "containerRuntimeVersion": f"labkit://{labkit.__version__}",
        "kernelVersion": platform.release(),
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET,
        "machineID": chance.uid("machine", name).replace("-", ""),
        "operatingSystem": "linux",
        "osImage": _os(),
        "systemUUID": chance.uid("system", name),
    }


def _os() -> str:
    """The system's name for people, from os-release(5)."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return "Linux"
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else "Linux"
