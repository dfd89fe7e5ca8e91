"""Which address a load balancer gets: the one that it has or asks for, else the lowest that is free. Pure."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address, ip_network

from labkit.errors import LabError


def choose(network: str, taken: Collection[str], asked: str = "") -> str:
    """An address of the network. Raises `LabError`: `asked` is none of it or not free, or all are taken."""
    pool = ip_network(network)
    if asked:
        if not inside(asked, network):
            raise LabError(f"the address {asked} is not in {network}, which is what this cloud has")
        if asked in taken:
            raise LabError(f"the address {asked} belongs to another load balancer")
        return asked
    free = next((str(address) for address in pool.hosts() if str(address) not in taken), "")
    if not free:
        raise LabError(f"no address is free in {network}: {len(taken)} load balancers have one")
    return free


def inside(address: str, network: str) -> bool:
    """Whether the network has such an address to give."""
    pool = ip_network(network)
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return found in pool and found not in (pool.network_address, pool.broadcast_address)
