"""The node ports of Services: those that they ask for, those that they get, the one for health checks.

Source: kubernetes/pkg/registry/core/service/storage/alloc.go (initNodePorts, updateNodePorts,
allocHealthCheckNodePort), portallocator/allocator.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from labkit.api.problem import Problem, invalid
from labkit.control import refusals
from labkit.services.allocator import PortRange
from labkit.services.change import wants_health_port, wants_ports

Raw = dict[str, Any]

FREE_ONE = "Choose another one, or leave the field out to get a free one."


class NodePorts:
    """Gives node ports out of a range. taken: whether a stored Service has a port; number: a random one, by purpose."""

    def __init__(self, ports: PortRange, taken: Callable[[int], bool], number: Callable[..., int]) -> None:
        self._range = ports
        self._taken = taken
        self._number = number

    def give(self, new: Raw, old: Raw | None) -> Iterator[Problem]:
        """Write node ports into the new Service; yields what cannot be given. Raises `ApiError` where none is left."""
        spec = new["spec"]
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            yield from self._ports(new, old)
        if wants_health_port(spec):
            yield from self._health_port(new, old)

    def _ports(self, new: Raw, old: Raw | None) -> Iterator[Problem]:
        spec, mine = new["spec"], set(node_ports(old)) if old else set()
        # Ports of one number (TCP and UDP of a DNS server) share a node port.
        given = {port["port"]: port["nodePort"] for port in spec.get("ports", ()) if port.get("nodePort")}
        asked: dict[int, int] = {}  # node port -> the port that has it
        for index, port in enumerate(spec.get("ports", ())):
            if number := port.get("nodePort"):
                shared = asked.get(number) == port["port"]
                others = set(asked) if old is None else set[int]()
                if number not in mine and not shared and (why := self._refusal(number, others)):
                    yield invalid(f"spec.ports[{index}].nodePort", number, why, FREE_ONE)
                asked[number] = port["port"]
            elif wants_ports(spec):
                if port["port"] not in given:
                    given[port["port"]] = self._draw(new, str(port["port"]), {*given.values(), *mine}, "nodePort: ")
                port["nodePort"] = given[port["port"]]

    def _health_port(self, new: Raw, old: Raw | None) -> Iterator[Problem]:
        spec, before = new["spec"], old["spec"] if old else {}
        asked = spec.get("healthCheckNodePort")
        had = before.get("healthCheckNodePort") if wants_health_port(before) else 0
        own = {port.get("nodePort", 0) for port in spec.get("ports", ())}
        if had and asked and asked != had:
            yield invalid("spec.healthCheckNodePort", asked, "field is immutable", "Leave it as it is.")
        elif not asked:
            spec["healthCheckNodePort"] = self._draw(new, "health", own, "HealthCheck NodePort 0: ")
        elif not had and (why := self._refusal(asked, own)):
            raise refusals.internal(f"failed to allocate requested HealthCheck NodePort {asked}: {why}")

    def _refusal(self, number: int, others: set[int]) -> str:
        """Why a port that is asked for cannot be had; empty where it can. `others`: what the Service itself has."""
        if number not in self._range:
            return f"provided port is not in the valid range. The range of valid ports is {self._range}"
        return "provided port is already allocated" if number in others or self._taken(number) else ""

    def _draw(self, new: Raw, purpose: str, mine: set[int], what: str) -> int:
        metadata = new["metadata"]
        number = self._number("nodePort", metadata.get("namespace", ""), metadata.get("name", ""), purpose)
        port = self._range.draw(lambda port: port in mine or self._taken(port), number)
        if port is None:
            raise refusals.internal(f"failed to allocate a {what}range is full")
        return port


def node_ports(raw: Raw) -> list[int]:
    """All that a Service has, its health check's too."""
    spec = raw["spec"]
    ports = [port.get("nodePort") for port in spec.get("ports", ())] + [spec.get("healthCheckNodePort")]
    return [port for port in ports if port]
