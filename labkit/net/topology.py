"""The data centre as plain facts: which machine has which address, in which zone, linked to what."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

POD_NETWORK = "10.244.0.0/16"
OUTSIDE = "203.0.113"  # TEST-NET-3, RFC 5737
INTERNET_IP = f"{OUTSIDE}.10"
ROUTER_IP = f"{OUTSIDE}.1"
BALANCED_NETWORK = "198.51.100.0/24"  # TEST-NET-2: addresses of load balancers
CLOUD_IP, CLOUD_GATEWAY = "192.0.2.10", "192.0.2.1"  # TEST-NET-1: the cloud's own machine, and the router towards it


class Zone(msgspec.Struct, frozen=True):
    """A zone has one switch and one subnet; the router is the first address of it."""

    name: str
    subnet: str
    gateway: str
    switch: str


class Machine(msgspec.Struct, frozen=True):
    """A cluster node: its address in its zone, and the range that its pods get their addresses from."""

    name: str
    zone: str
    address: str
    gateway: str
    pod_cidr: str


class Site(msgspec.Struct, frozen=True):
    """All zones and nodes. Outside are a router towards everything and the host `internet`."""

    zones: tuple[Zone, ...]
    machines: tuple[Machine, ...]


def plan(nodes: int, zones: Sequence[str]) -> Site:
    """`nodes` machines spread over `zones` in turn.

    Zone number z (from 1) is 172.18.z.0/24, its nodes count from .11; node n gets the pod range 10.244.n.0/24. Raises
    `ValueError` for no node, more than 200 of them, no zone, more than 20, a name twice or one that is no short label.
    """
    if not 1 <= nodes <= 200:
        raise ValueError(f"nodes is {nodes}: choose from 1 to 200")
    if not 1 <= len(zones) <= 20 or len(set(zones)) != len(zones):
        raise ValueError(f"zones is {list(zones)}: choose 1 to 20 different names")
    for name in zones:
        if not (
            name.isascii() and name.replace("-", "").isalnum() and len(name) <= 8 and name == name.strip("-").lower()
        ):
            raise ValueError(f"zone name {name!r}: at most 8 lower-case letters, digits and dashes")
    planned = tuple(Zone(z, f"172.18.{i}.0/24", f"172.18.{i}.1", f"s-{z}") for i, z in enumerate(zones, 1))
    machines = []
    for n in range(1, nodes + 1):
        index = (n - 1) % len(zones)
        zone = planned[index]
        machines.append(
            Machine(f"node-{n}", zone.name, f"172.18.{index + 1}.{10 + n}", zone.gateway, f"10.244.{n}.0/24")
        )
    return Site(planned, tuple(machines))
