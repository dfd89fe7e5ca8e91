"""The names of the maps and programs of one address family, which are Cilium's but for the lab's own two."""

from __future__ import annotations

import msgspec

from labkit.net.rules import Family


class Maps(msgspec.Struct, frozen=True):
    """A family's maps.

    width  bytes of an address
    hooks  programs of sockets; those of IPv4 act on IPv6 sockets too, which may talk to ::ffff:10.96.0.7
    unspecified  the address of the NodePorts that are on loopback, for the node alone
    """

    family: Family
    width: int
    hooks: tuple[str, ...]
    unspecified: str
    services: str
    backends: str
    reverse_nat: str
    maglev: str
    source_range: str
    sockets: str
    flows: str
    affinity_match: str = "cilium_lb_affinity_match"
    here: str = "cilium_lxc"
    netns: str = "labkit_netns"
    node: str = "labkit_node"

    @property
    def order(self) -> tuple[str, ...]:
        """Those that follow from Services, leaves first: what an entry leads to is there before it."""
        leaves = (self.backends, self.here, self.reverse_nat, self.maglev, self.affinity_match, self.source_range)
        return (*leaves, self.services)

    @property
    def connect(self) -> str:
        """The program that chooses when a program connects."""
        return self.hooks[0]


def _maps(family: Family, number: int, width: int, versions: tuple[int, ...], unspecified: str) -> Maps:
    lb = f"cilium_lb{number}"
    return Maps(
        family=family,
        width=width,
        hooks=tuple(
            f"cil_sock{v}_{hook}" for v in versions for hook in ("connect", "sendmsg", "recvmsg", "getpeername")
        ),
        unspecified=unspecified,
        services=f"{lb}_services_v2",
        backends=f"{lb}_backends_v3",
        reverse_nat=f"{lb}_reverse_nat",
        maglev=f"{lb}_maglev",
        source_range=f"{lb}_source_range",
        sockets=f"{lb}_reverse_sk",
        flows=f"cilium_ct{number}_global",
    )


MAPS: dict[Family, Maps] = {
    "IPv4": _maps("IPv4", 4, 4, (4, 6), "0.0.0.0"),
    "IPv6": _maps("IPv6", 6, 16, (6,), "::"),
}
CABLE = {"ingress": "cil_from_netdev", "egress": "cil_to_netdev"}
"""The programs of the node's cable."""


def maps_for(address: str) -> Maps:
    """Those of an address's family."""
    return MAPS["IPv6" if ":" in address else "IPv4"]
