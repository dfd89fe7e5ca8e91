"""The data centre as plain facts: which machine has which address, in which zone, linked to what."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

POD_NETWORK, POD_NETWORK_6 = "10.244.0.0/16", "fd00:10:244::/48"
POD_NETWORKS = {"IPv4": POD_NETWORK, "IPv6": POD_NETWORK_6}
OUTSIDE = "203.0.113"  # TEST-NET-3, RFC 5737
INTERNET_IP = f"{OUTSIDE}.10"
ROUTER_IP = f"{OUTSIDE}.1"
OUTSIDE_6 = "2001:db8:203:"  # RFC 3849
INTERNET_IP_6, ROUTER_IP_6 = f"{OUTSIDE_6}:10", f"{OUTSIDE_6}:1"
BALANCED_NETWORK, BALANCED_NETWORK_6 = "198.51.100.0/24", "2001:db8:198::/120"  # TEST-NET-2: of load balancers
CLOUD_IP, CLOUD_GATEWAY = "192.0.2.10", "192.0.2.1"  # TEST-NET-1: the cloud's own machine, and the router towards it
CLOUD_IP_6, CLOUD_GATEWAY_6 = "2001:db8:192::10", "2001:db8:192::1"


class Zone(msgspec.Struct, frozen=True):
    """A zone has one switch and one subnet; the router is the first address of it. Without IPv6, gateway6 is empty."""

    name: str
    subnet: str
    gateway: str
    switch: str
    gateway6: str = ""


class Machine(msgspec.Struct, frozen=True):
    """A cluster node: its address in its zone, and the range that its pods get their addresses from.

    The same for IPv6, in prefixes of 64 bits; empty without it.
    """

    name: str
    zone: str
    address: str
    gateway: str
    pod_cidr: str
    address6: str = ""
    gateway6: str = ""
    pod_cidr6: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.address, self.address6)))

    @property
    def pod_cidrs(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.pod_cidr, self.pod_cidr6)))


class Site(msgspec.Struct, frozen=True):
    """All zones and nodes. Outside are a router towards everything and the host `internet`."""

    zones: tuple[Zone, ...]
    machines: tuple[Machine, ...]
    dual: bool = False


def plan(nodes: int, zones: Sequence[str], dual: bool = False) -> Site:
    """`nodes` machines spread over `zones` in turn.

    Zone number z (from 1) is 172.18.z.0/24, its nodes count from .11; node n gets the pod range 10.244.n.0/24. With
    `dual` the same numbers stand in fd00:172:18:z::/64 and fd00:10:244:n::/64. Raises `ValueError` for no node, more
    than 200 of them, no zone, more than 20, a name twice or one that is no short label.
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
    planned = tuple(_zone(number, name, dual) for number, name in enumerate(zones, 1))
    return Site(planned, tuple(_machine(n, (n - 1) % len(zones) + 1, planned, dual) for n in range(1, nodes + 1)), dual)


def balanced(dual: bool) -> dict[str, str]:
    """The networks of load balancers' addresses, by IP family."""
    return {"IPv4": BALANCED_NETWORK, **({"IPv6": BALANCED_NETWORK_6} if dual else {})}


def _zone(number: int, name: str, dual: bool) -> Zone:
    net = f"172.18.{number}"
    return Zone(name, f"{net}.0/24", f"{net}.1", f"s-{name}", f"fd00:172:18:{number}::1" if dual else "")


def _machine(number: int, at: int, zones: Sequence[Zone], dual: bool) -> Machine:
    zone, host = zones[at - 1], 10 + number
    return Machine(
        name=f"node-{number}",
        zone=zone.name,
        address=f"172.18.{at}.{host}",
        gateway=zone.gateway,
        pod_cidr=f"10.244.{number}.0/24",
        address6=f"fd00:172:18:{at}::{host}" if dual else "",
        gateway6=zone.gateway6,
        pod_cidr6=f"fd00:10:244:{number}::/64" if dual else "",
    )
