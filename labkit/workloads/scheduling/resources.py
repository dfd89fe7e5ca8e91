"""What pods ask for and what nodes have: CPU in thousandths, all else in whole units; ports of the node.

Source: pkg/scheduler/framework/types.go (Resource, HostPortInfo) of v1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from labkit.api import amounts, quantity
from labkit.api.amounts import Amounts

Raw = dict[str, Any]
Port = tuple[str, str, int]
"""(address, protocol, port)"""

UNITS = {"cpu": Fraction(1, 1000)}
ANY = "0.0.0.0"


def whole(resources: Amounts) -> Counter[str]:
    """Exact amounts as whole numbers, rounded up."""
    return Counter({name: quantity.whole(amount, UNITS.get(name, Fraction(1))) for name, amount in resources.items()})


def requests(spec: Raw) -> Counter[str]:
    """What a pod occupies."""
    return whole(amounts.of_pod(spec, "requests"))


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
