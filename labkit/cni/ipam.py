"""Addresses for pods, node by node, as the `host-local` plugin hands them out: the next one after the last.

Source: containernetworking/plugins, plugins/ipam/host-local/backend/allocator.
"""

from __future__ import annotations

from ipaddress import ip_network

from labkit.errors import LabError


class Range:
    """A node's pod range. The first address is the gateway's; network and broadcast are never given."""

    def __init__(self, subnet: str) -> None:
        net = ip_network(subnet)
        self.subnet = subnet
        self.gateway = str(net[1])
        self._net = net
        self._last = 1
        self._used: set[int] = set()

    def allocate(self) -> tuple[str, int]:
        """An address and its number within the range. Raises `LabError` when all are in use."""
        size = self._net.num_addresses
        for step in range(1, size):
            number = 2 + (self._last - 2 + step) % (size - 3)
            if number not in self._used:
                self._used.add(number)
                self._last = number
                return str(self._net[number]), number
        raise LabError(f"no free address in {self.subnet}: {len(self._used)} pods on this node; add nodes")

    def release(self, number: int) -> None:
        self._used.discard(number)
