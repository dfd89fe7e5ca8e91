"""Names of kube-proxy's chains and sets, by formula.

    service-ULMVA6XW-ns1/svc1/tcp/p80      endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80

Source: Kubernetes v1.34, pkg/proxy/nftables/proxier.go (`hashAndTruncate`, `servicePortChainNameBase`,
`servicePortEndpointChainNameBase`).
"""

from __future__ import annotations

from labkit.proxy.hashed import hashed

TABLE = "kube-proxy"
_LONGEST = 240  # nf_tables' 256, less the longest prefix


def port_base(name: str, protocol: str) -> str:
    """What follows `service-`, `local-`, `external-` and `firewall-`; `name` is `ns/service:port`."""
    return _hashed(_port(name, protocol))


def endpoint_base(name: str, protocol: str, address: str) -> str:
    """What follows `endpoint-` and `affinity-`; `address` is `ip:port`, or `[ip]:port`."""
    ip, _, number = address.rpartition(":")
    # A colon is not allowed in a chain's name.
    return _hashed(f"{_port(name, protocol)}__{ip.strip('[]').replace(':', '.')}/{number}")


def is_service_chain(name: str) -> bool:
    """Whether it belongs to a Service port; the names of all other chains have no slash."""
    return "/" in name


def is_affinity_set(name: str) -> bool:
    """Whether packets fill the set, with the clients that keep an endpoint."""
    return name.startswith("affinity-")


def _port(name: str, protocol: str) -> str:
    service, _, port = name.partition(":")
    return f"{service}/{protocol}/{port}"


def _hashed(text: str) -> str:
    name = f"{hashed(text, 8)}-{text}"
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
