"""Names that kube-proxy derives by formula.

Source: Kubernetes v1.34, pkg/proxy/iptables/proxier.go (`portProtoHash`, `servicePortEndpointChainName`,
`isServiceChainName`).
"""

from __future__ import annotations

from functools import lru_cache

from labkit.proxy.hashed import hashed

SERVICE_PREFIXES = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-")
FIXED = frozenset(
    {
        "KUBE-SERVICES",
        "KUBE-EXTERNAL-SERVICES",
        "KUBE-NODEPORTS",
        "KUBE-POSTROUTING",
        "KUBE-MARK-MASQ",
        "KUBE-FORWARD",
        "KUBE-PROXY-FIREWALL",
        "KUBE-PROXY-CANARY",
        "KUBE-FIREWALL",
    }
)


@lru_cache(maxsize=65536)
def port_hash(port: str, protocol: str) -> str:
    """The 16 characters behind KUBE-SVC-, KUBE-SVL-, KUBE-EXT- and KUBE-FW-; `protocol` in lower case."""
    return hashed(port + protocol)


@lru_cache(maxsize=65536)
def endpoint_chain(port: str, protocol: str, address: str) -> str:
    """KUBE-SEP-…; `address` is `ip:port`."""
    return f"KUBE-SEP-{hashed(port + protocol + address)}"


def is_own(chain: str) -> bool:
    """Whether kube-proxy made the chain."""
    return chain in FIXED or chain.startswith(SERVICE_PREFIXES)
