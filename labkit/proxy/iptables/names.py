"""Names and numbers that kube-proxy derives by formula.

Source: Kubernetes v1.34, pkg/proxy/iptables/proxier.go (`portProtoHash`, `servicePortEndpointChainName`,
`isServiceChainName`, `computeProbability`).
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from functools import lru_cache

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
_KERNEL_SCALE = 1 << 31  # xt_statistic keeps a probability as a 31-bit fraction


@lru_cache(maxsize=65536)
def port_hash(port: str, protocol: str) -> str:
    """The 16 characters behind KUBE-SVC-, KUBE-SVL-, KUBE-EXT- and KUBE-FW-; `protocol` in lower case."""
    return _hash(port + protocol)


@lru_cache(maxsize=65536)
def endpoint_chain(port: str, protocol: str, address: str) -> str:
    """KUBE-SEP-…; `address` is `ip:port`."""
    return f"KUBE-SEP-{_hash(port + protocol + address)}"


def is_own(chain: str) -> bool:
    """Whether kube-proxy made the chain."""
    return chain in FIXED or chain.startswith(SERVICE_PREFIXES)


def probability(n: int) -> str:
    """1/n as kube-proxy hands it to iptables: ten decimals."""
    return f"{1 / n:.10f}"


@lru_cache(maxsize=4096)
def saved_probability(n: int) -> str:
    """1/n as `iptables-save` prints it afterwards: rounded to 31 bits by the kernel, eleven decimals."""
    return f"{round(float(probability(n)) * _KERNEL_SCALE) / _KERNEL_SCALE:.11f}"


def _hash(text: str) -> str:
    return b32encode(hashlib.sha256(text.encode()).digest())[:16].decode()
