"""What HNS of one node holds, as a value that prints as `hnsdiag list loadbalancers` does."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import msgspec

from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.kernelspace import text
from labkit.proxy.kernelspace.hns import HnsEndpoint, LoadBalancer
from labkit.proxy.kernelspace.policies import endpoint_id, load_balancers
from labkit.proxy.mode import View


class HnsPlan(msgspec.Struct, frozen=True):
    """One node's HNS network.

    management_ip   the node's address; pod_network: what its pods' ports are known by
    endpoints       by address; load_balancers: by Service port
    """

    node: str = ""
    management_ip: str = ""
    pod_network: str = ""
    endpoints: tuple[HnsEndpoint, ...] = ()
    load_balancers: tuple[LoadBalancer, ...] = ()

    def __str__(self) -> str:
        return text.listed(self.load_balancers)


def plan(view: View, config: ProxyConfig = DEFAULT) -> HnsPlan:
    """All of a node, complete."""
    made = (load_balancers(view.ports[key], view, config) for key in view.keys)
    return assembled(HnsPlan(view.node, view.node_ip, config.cluster_cidr), made)


def assembled(empty: HnsPlan, made: Iterable[tuple[LoadBalancer, ...]]) -> HnsPlan:
    """The plan with the load balancers of all ports. One for the same address and port is there once, as HNS has it."""
    found: dict[str, LoadBalancer] = {}
    for one in (one for ones in made for one in ones):
        found.setdefault(one.id, one)
    endpoints = _endpoints(empty.node, found.values())
    return msgspec.structs.replace(empty, endpoints=endpoints, load_balancers=tuple(found.values()))


def _endpoints(node: str, made: Iterable[LoadBalancer]) -> tuple[HnsEndpoint, ...]:
    ips: dict[str, bool] = {}
    for one in made:
        for ip in one.ips:
            ips[ip] = ips.get(ip, True) and ip not in one.local
    return tuple(
        HnsEndpoint(endpoint_id(node, ip), ip, _mac(ip, ips[ip]), ips[ip]) for ip in sorted(ips, key=ip_address)
    )


def _mac(ip: str, remote: bool) -> str:
    """From the address: as kube-proxy makes it up for a remote endpoint, as the CNI plugins do for a pod."""
    address = ip_address(ip)
    last = address.packed if address.version == 4 else address.packed[:-5:-1]
    return "-".join(["02-11" if remote else "0a-58", *(f"{byte:02x}" for byte in last)])
