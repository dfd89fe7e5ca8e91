"""What the API server gives to a Service as it is written: IP families, cluster addresses, node ports.

Source: kubernetes/pkg/registry/core/service/storage/alloc.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, invalid
from labkit.control import refusals
from labkit.control.admission import Admission
from labkit.control.store import Store
from labkit.services import families
from labkit.services.allocator import AddressRange, PortRange, Ranges
from labkit.services.change import immutable, inherit, wants_address
from labkit.services.ports import FREE_ONE, NodePorts, node_ports

Raw = dict[str, Any]

DEFAULT = Ranges()
MISMATCH = "the provided network does not match the current range"


class ServiceAdmission:
    """Completes Services from what no stored Service has.

    All it knows is the store: what a Service has is taken, and free again when the Service is gone.
    """

    def __init__(self, store: Store, ranges: Ranges = DEFAULT) -> None:
        self._store = store
        self._ranges = {family: AddressRange(cidr) for family, cidr in ranges.cidrs.items()}
        ports = PortRange(*ranges.node_ports)
        self._ports = NodePorts(ports, lambda port: self._taken("nodePort", str(port)), store.chance.fresh)
        store.add_index("clusterIP", _cluster_ips, "Service")
        store.add_index("nodePort", _node_ports, "Service")

    def register(self, admission: Admission) -> None:
        admission.mutate("Service", self.complete)
        admission.validate("Service", immutable)

    def complete(self, new: Raw, old: Raw | None) -> Iterator[Problem]:
        """Give `new` what it lacks, from `old` where that had it; yields what cannot be given.

        Raises `ApiError` where nothing is left to give.
        """
        spec = new["spec"]
        if old is None:
            new["status"] = {"loadBalancer": {}}
        else:
            inherit(spec, old["spec"])
            if spec.get("type") != "LoadBalancer" and old.get("status", {}).get("loadBalancer"):
                new["status"] = {**old["status"], "loadBalancer": {}}
        if wants_address(spec):
            problems = list(self._addresses(new, old))
            yield from problems
            if not problems:
                yield from self._ports.give(new, old)

    def _addresses(self, new: Raw, old: Raw | None) -> Iterator[Problem]:
        spec = new["spec"]
        if not families.sound(spec):
            return
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        problems = [*families.mismatched(spec)]
        problems = problems or families.settle(spec, old["spec"] if old else None, list(self._ranges))
        yield from problems
        asked = spec.get("clusterIPs") or []
        if problems or asked[:1] == ["None"]:
            return
        mine = old["spec"].get("clusterIPs", ()) if old else ()
        given = []
        for index, family in enumerate(spec["ipFamilies"]):
            address = asked[index] if index < len(asked) else self._draw(new, family)
            if index < len(asked) and address not in mine and (why := self._refusal(family, address)):
                yield invalid("spec.clusterIPs", asked, f"failed to allocate IP {address}: {why}", FREE_ONE)
            given.append(address)
        spec["clusterIP"], spec["clusterIPs"] = given[0], given

    def _refusal(self, family: str, address: str) -> str:
        """Why an address that is asked for cannot be had; empty where it can."""
        if address not in self._ranges[family]:
            return MISMATCH
        return "provided IP is already allocated" if self._taken("clusterIP", address) else ""

    def _draw(self, new: Raw, family: str) -> str:
        metadata = new["metadata"]
        purpose = () if family == "IPv4" else (family,)
        name = metadata.get("namespace", ""), metadata.get("name", "")
        number = self._store.chance.fresh("clusterIP", *name, *purpose)
        address = self._ranges[family].draw(lambda address: self._taken("clusterIP", address), number)
        if address is None:
            raise refusals.internal("failed to allocate a serviceIP: range is full")
        return address

    def _taken(self, index: str, value: str) -> bool:
        return bool(self._store.indexed(index, value))


def _cluster_ips(raw: Raw) -> list[str]:
    return [address for address in raw["spec"].get("clusterIPs", ()) if address != "None"]


def _node_ports(raw: Raw) -> list[str]:
    return [str(port) for port in node_ports(raw)]
