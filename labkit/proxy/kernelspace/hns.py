"""What the Host Networking Service of a Windows node holds: endpoints, and load balancers over them.

Field names, numbers and flags are those of the HCN schema, version 2.
Source: Microsoft/hnslib, hcn/hcnloadbalancer.go, hcnendpoint.go; Kubernetes v1.34, pkg/proxy/winkernel/hns.go.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from uuid import UUID, uuid5

import msgspec

_SPACE = UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122's name space for object identifiers
PROTOCOLS = {"tcp": 6, "udp": 17}
"""Numbers of the protocols that HNS balances; Kubernetes has no SCTP on Windows."""


class Flags(IntFlag):
    """Of a load balancer. DSR: direct server return, so that the endpoint sees who asks, and answers there itself."""

    NONE = 0
    DSR = 1
    IPV6 = 2


class PortFlags(IntFlag):
    """Of a port mapping. Kubernetes sets LOCAL_ROUTED_VIP for NodePorts and VIP_EXTERNAL_IP for all but cluster IPs."""

    NONE = 0
    ILB = 1
    LOCAL_ROUTED_VIP = 2
    USE_MUX = 4
    PRESERVE_DIP = 8
    VIP_EXTERNAL_IP = 16


class Distribution(IntEnum):
    """What is hashed to choose the endpoint: the whole connection, or (session affinity) the client's address."""

    NONE = 0
    SOURCE_IP_PROTOCOL = 1
    SOURCE_IP = 2


class HnsEndpoint(msgspec.Struct, frozen=True):
    """A pod's port of the virtual switch, or, `remote`, a stand-in for a pod elsewhere. MAC with dashes."""

    id: str
    ip: str
    mac: str
    remote: bool


class PortMapping(msgspec.Struct, frozen=True):
    """`protocol` is a number of IP; traffic to `external_port` goes to `internal_port` of an endpoint."""

    protocol: int
    internal_port: int
    external_port: int
    distribution: Distribution = Distribution.NONE
    flags: PortFlags = PortFlags.NONE


class LoadBalancer(msgspec.Struct, frozen=True):
    """One policy list. `vip`: its virtual IP; empty for a NodePort, which is at the node's management address.

    name    of the Service port, which HNS is not told
    ips     the addresses of `endpoints`, which are ids; local: those of them that are on this node
    """

    id: str
    name: str
    vip: str
    mapping: PortMapping
    endpoints: tuple[str, ...]
    ips: tuple[str, ...]
    local: frozenset[str] = frozenset()
    flags: Flags = Flags.NONE
    source_vip: str = ""

    @property
    def dsr(self) -> bool:
        return Flags.DSR in self.flags


def guid(*what: object) -> str:
    """The same GUID for the same thing in every lab; HNS draws them at random."""
    return str(uuid5(_SPACE, "/".join(map(str, what))))
