"""The ipset sets of kube-proxy in ipvs mode: names, kinds, comments.

Source: Kubernetes v1.34, pkg/proxy/ipvs/ipset.go, and `ipsetInfo` of proxier.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from labkit.net.ipset import AddressSet, Element, Kind
from labkit.net.rules import Family

LOOP_BACK = "KUBE-LOOP-BACK"
CLUSTER_IP = "KUBE-CLUSTER-IP"
EXTERNAL_IP = "KUBE-EXTERNAL-IP"
EXTERNAL_IP_LOCAL = "KUBE-EXTERNAL-IP-LOCAL"
LOAD_BALANCER = "KUBE-LOAD-BALANCER"
LOAD_BALANCER_LOCAL = "KUBE-LOAD-BALANCER-LOCAL"
LOAD_BALANCER_FW = "KUBE-LOAD-BALANCER-FW"
SOURCE_IP = "KUBE-LOAD-BALANCER-SOURCE-IP"
SOURCE_CIDR = "KUBE-LOAD-BALANCER-SOURCE-CIDR"
NODE_PORT: Mapping[str, str] = {
    "tcp": "KUBE-NODE-PORT-TCP",
    "udp": "KUBE-NODE-PORT-UDP",
    "sctp": "KUBE-NODE-PORT-SCTP-HASH",
}
NODE_PORT_LOCAL: Mapping[str, str] = {
    "tcp": "KUBE-NODE-PORT-LOCAL-TCP",
    "udp": "KUBE-NODE-PORT-LOCAL-UDP",
    "sctp": "KUBE-NODE-PORT-LOCAL-SCTP-HASH",
}
HEALTH_CHECK = "KUBE-HEALTH-CHECK-NODE-PORT"
IPVS_IPS = "KUBE-IPVS-IPS"

_MASQUERADE = "port for masquerade purpose"
_LOCAL = "port with externalTrafficPolicy=local"
_SETS: Mapping[str, tuple[Kind, str]] = {
    LOOP_BACK: ("hash:ip,port,ip", "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"),
    CLUSTER_IP: ("hash:ip,port", "Kubernetes service cluster ip + port for masquerade purpose"),
    EXTERNAL_IP: ("hash:ip,port", "Kubernetes service external ip + port for masquerade and filter purpose"),
    EXTERNAL_IP_LOCAL: ("hash:ip,port", "Kubernetes service external ip + port with externalTrafficPolicy=local"),
    LOAD_BALANCER: ("hash:ip,port", "Kubernetes service lb portal"),
    LOAD_BALANCER_FW: (
        "hash:ip,port",
        "Kubernetes service load balancer ip + port for load balancer with sourceRange",
    ),
    LOAD_BALANCER_LOCAL: (
        "hash:ip,port",
        "Kubernetes service load balancer ip + port with externalTrafficPolicy=local",
    ),
    SOURCE_IP: (
        "hash:ip,port,ip",
        "Kubernetes service load balancer ip + port + source IP for packet filter purpose",
    ),
    SOURCE_CIDR: (
        "hash:ip,port,net",
        "Kubernetes service load balancer ip + port + source cidr for packet filter purpose",
    ),
    NODE_PORT["tcp"]: ("bitmap:port", f"Kubernetes nodeport TCP {_MASQUERADE}"),
    NODE_PORT_LOCAL["tcp"]: ("bitmap:port", f"Kubernetes nodeport TCP {_LOCAL}"),
    NODE_PORT["udp"]: ("bitmap:port", f"Kubernetes nodeport UDP {_MASQUERADE}"),
    NODE_PORT_LOCAL["udp"]: ("bitmap:port", f"Kubernetes nodeport UDP {_LOCAL}"),
    NODE_PORT["sctp"]: ("hash:ip,port", f"Kubernetes nodeport SCTP {_MASQUERADE} with type 'hash ip:port'"),
    NODE_PORT_LOCAL["sctp"]: ("hash:ip,port", f"Kubernetes nodeport SCTP {_LOCAL} with type 'hash ip:port'"),
    HEALTH_CHECK: ("bitmap:port", "Kubernetes health check node port"),
    IPVS_IPS: ("hash:ip", "Addresses on the ipvs interface"),
}
NAMES = tuple(_SETS)
_LONGEST_NAME = 31


def name(base: str, family: Family) -> str:
    """The set's name in a family: KUBE-… for IPv4, KUBE-6-… for IPv6, cut to what the kernel allows."""
    return base if family == "IPv4" else base.replace("KUBE-", "KUBE-6-", 1)[:_LONGEST_NAME]


def comment(base: str) -> str:
    return _SETS[base][1]


def make(base: str, family: Family, elements: frozenset[Element] = frozenset()) -> AddressSet:
    """The set with what is in it."""
    kind, said = _SETS[base]
    return AddressSet(name(base, family), kind, family, said, elements)
