"""What the API server gives to a Service as it is written: IP families, ClusterIP, node ports.

Source: kubernetes/pkg/registry/core/service/storage/alloc.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, invalid
from labkit.control.admission import Admission
from labkit.control.store import Store
from labkit.services.allocator import FIRST_NODE_PORT, LAST_NODE_PORT, SERVICE_CIDR, AddressRange, draw_port
from labkit.services.change import immutable, inherit, wants_address, wants_health_port, wants_ports

Raw = dict[str, Any]

FREE_ONE = "Choose another one, or leave the field out to get a free one."


class ServiceAdmission:
    """Completes Services from what no stored Service has. Single-stack: IPv4.

    All it knows is the store: what a Service has is taken, and free again when the Service is gone.
    """

    def __init__(self, store: Store, cidr: str = SERVICE_CIDR) -> None:
        self._store = store
        self._range = AddressRange(cidr)
        store.add_index("clusterIP", _cluster_ips)
        store.add_index("nodePort", _node_ports)

    def register(self, admission: Admission) -> None:
        admission.mutate("Service", self.complete)
        admission.validate("Service", immutable)

    def complete(self, new: Raw, old: Raw | None) -> Iterator[Problem]:
        """Give `new` what it lacks, from `old` where that had it; yields what cannot be given."""
        spec = new["spec"]
        if old is None:
            new["status"] = {"loadBalancer": {}}
        else:
            inherit(spec, old["spec"])
        if wants_address(spec):
            yield from self._families(spec)
            yield from self._address(new, old)
            yield from self._ports(new, old)

    def _families(self, spec: Raw) -> Iterator[Problem]:
        headless = spec.get("clusterIP") == "None"
        if spec.get("ipFamilyPolicy") == "RequireDualStack" and not (headless and not spec.get("selector")):
            why = "this cluster is not configured for dual-stack services"
            yield invalid("spec.ipFamilyPolicy", "RequireDualStack", why, "Use SingleStack or PreferDualStack.")
        for index, family in enumerate(spec.get("ipFamilies", ())):
            if family != "IPv4":
                remedy = "Use IPv4: this cluster is single-stack."
                yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster", remedy)
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec.setdefault("ipFamilies", ["IPv4"])

    def _address(self, new: Raw, old: Raw | None) -> Iterator[Problem]:
        spec = new["spec"]
        asked = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if not asked:
            number = self._store.chance.fresh("clusterIP", *_full_name(new))
            asked = self._range.draw(lambda address: self._taken("clusterIP", address), number)
            if asked is None:
                why = "Internal error: failed to allocate a serviceIP: range is full"
                yield Problem("spec.clusterIPs", why, "Delete a Service that nobody needs.")
                return
        elif asked != "None" and asked not in (old or {}).get("spec", {}).get("clusterIPs", ()):
            yield from self._asked_address(asked)
        spec["clusterIP"] = asked
        spec["clusterIPs"] = spec.get("clusterIPs") or [asked]

    def _asked_address(self, asked: str) -> Iterator[Problem]:
        if asked not in self._range:
            cidr = self._range.network
            why = f"the provided IP ({asked}) is not in the valid range. The range of valid IPs is {cidr}"
        elif self._taken("clusterIP", asked):
            why = "provided IP is already allocated"
        else:
            return
        yield invalid("spec.clusterIPs", [asked], f"failed to allocate IP {asked}: {why}", FREE_ONE)

    def _ports(self, new: Raw, old: Raw | None) -> Iterator[Problem]:
        spec = new["spec"]
        mine = _node_ports(old) if old else []
        given = {port["port"]: port["nodePort"] for port in spec.get("ports", ()) if port.get("nodePort")}
        for index, port in enumerate(spec.get("ports", ())):
            field = f"spec.ports[{index}].nodePort"
            if asked := port.get("nodePort"):
                if str(asked) not in mine:
                    yield from self._asked_port(field, asked)
            elif wants_ports(spec):
                # Ports of one number (TCP and UDP of a DNS server) share a node port.
                if port["port"] not in given:
                    given[port["port"]] = self._draw_port(new, str(port["port"]), set(given.values()))
                if not given[port["port"]]:
                    why = "Internal error: failed to allocate a nodePort: range is full"
                    yield Problem(field, why, "Delete a NodePort Service that nobody needs.")
                port["nodePort"] = given[port["port"]]
        if wants_health_port(spec) and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = self._draw_port(new, "health", set(given.values()))

    def _asked_port(self, field: str, asked: int) -> Iterator[Problem]:
        if not FIRST_NODE_PORT <= asked <= LAST_NODE_PORT:
            valid = f"{FIRST_NODE_PORT}-{LAST_NODE_PORT}"
            why = f"provided port is not in the valid range. The range of valid ports is {valid}"
        elif self._taken("nodePort", str(asked)):
            why = "provided port is already allocated"
        else:
            return
        yield invalid(field, asked, why, FREE_ONE)

    def _draw_port(self, new: Raw, purpose: str, mine: set[int]) -> int:
        """A free node port; 0 where all are taken."""
        number = self._store.chance.fresh("nodePort", *_full_name(new), purpose)
        return draw_port(lambda port: port in mine or self._taken("nodePort", str(port)), number) or 0

    def _taken(self, index: str, value: str) -> bool:
        return bool(self._store.indexed(index, value))


def _full_name(raw: Raw) -> tuple[str, str]:
    return raw["metadata"].get("namespace", ""), raw["metadata"].get("name", "")


def _cluster_ips(raw: Raw) -> list[str]:
    if raw["kind"] != "Service":
        return []
    return [address for address in raw["spec"].get("clusterIPs", ()) if address != "None"]


def _node_ports(raw: Raw) -> list[str]:
    if raw["kind"] != "Service":
        return []
    spec = raw["spec"]
    ports = [port.get("nodePort") for port in spec.get("ports", ())] + [spec.get("healthCheckNodePort")]
    return [str(port) for port in ports if port]
