"""What pods ask for and what nodes have: CPU in thousandths, all else in whole units; ports of the node.

Source: k8s.io/component-helpers/resource/helpers.go (PodRequests), pkg/scheduler/framework/types.go (HostPortInfo) of
v1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from labkit.api import quantity

Raw = dict[str, Any]
Port = tuple[str, str, int]
"""(address, protocol, port)"""

THOUSANDTH = Fraction(1, 1000)
ANY = "0.0.0.0"


def amounts(resources: Mapping[str, Any]) -> Counter[str]:
    """A resource list as whole numbers."""
    return Counter(
        {
            name: quantity.ceiling(amount, THOUSANDTH if name == "cpu" else Fraction(1))
            for name, amount in resources.items()
        }
    )


def requests(spec: Raw) -> Counter[str]:
    """What a pod occupies: its containers together with its sidecars, or the largest init container, and overhead."""
    total: Counter[str] = Counter()
    for container in spec.get("containers", ()):
        total.update(_requests(container))
    sidecars: Counter[str] = Counter()
    largest: Counter[str] = Counter()
    for container in spec.get("initContainers", ()):
        if container.get("restartPolicy") == "Always":
            sidecars.update(_requests(container))
            largest |= sidecars
        else:
            largest |= sidecars + _requests(container)
    total.update(sidecars)
    total |= largest
    total.update(amounts(spec.get("overhead", {})))
    return total


def host_ports(spec: Raw) -> list[Port]:
    """The ports of its node that a pod takes."""
    containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    return [
        (port.get("hostIP") or ANY, port.get("protocol", "TCP"), port["hostPort"])
        for container in containers
        for port in container.get("ports", ())
        if port.get("hostPort")
    ]


def clash(wanted: Iterable[Port], taken: Iterable[Port]) -> bool:
    """Whether two want the same port at one address; the unspecified one stands for all."""
    used = list(taken)
    return any(
        (protocol, port) == (other_protocol, other_port) and (ANY in (address, other) or address == other)
        for address, protocol, port in wanted
        for other, other_protocol, other_port in used
    )


def _requests(container: Raw) -> Counter[str]:
    return amounts((container.get("resources") or {}).get("requests") or {})
