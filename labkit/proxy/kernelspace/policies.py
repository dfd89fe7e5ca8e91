"""Which load balancers HNS gets for one Service port on one node, and over which endpoints.

Unlike on Linux, hints of endpoints, `loadBalancerSourceRanges` and time-outs of session affinity play no part, and a
port without endpoints gets no policy, so that packets to it are neither refused nor dropped.

Source: Kubernetes v1.34, pkg/proxy/winkernel/proxier.go (`syncProxyRules`, `isAllEndpointsTerminating`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from labkit.net.packet import split_endpoint
from labkit.proxy.config import ProxyConfig
from labkit.proxy.kernelspace.hns import PROTOCOLS, Distribution, Flags, LoadBalancer, PortFlags, PortMapping, guid
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port


class Usable(msgspec.Struct, frozen=True):
    """Endpoints of a port that HNS gets. `available`: whether node ports and external IPs get load balancers."""

    everywhere: tuple[Backend, ...]
    here: tuple[Backend, ...]
    available: bool = True


def usable(port: Port, view: View) -> Usable:
    """Ready endpoints. Behind a load balancer's address, where all of them terminate, those that still serve;
    where none serves at all, every one.
    """
    front, ends = port.frontend, [b for b in port.backends if not _unknown(b, view)]
    terminating = silent = False
    if front.load_balancer_ips:
        counted = [b for b in ends if b.node == view.node or not front.external_local]
        terminating = all(b.terminating for b in counted if b.ready or b.terminating)
        silent = not any(b.serving for b in counted)
    if front.internal_local and front.external_local:
        ends = [b for b in ends if b.node == view.node]
    if not silent:
        ends = [b for b in ends if b.serving and (b.ready or terminating)]
    here = tuple(b for b in ends if b.node == view.node)
    return Usable(tuple(ends), here, not terminating and not silent)


def _unknown(backend: Backend, view: View) -> bool:
    """A pod on the node's own network: HNS has no endpoint for it, and kube-proxy makes none for what is local."""
    return backend.node == view.node and backend.ip in view.addresses


def load_balancers(port: Port, view: View, config: ProxyConfig) -> tuple[LoadBalancer, ...]:
    """The policies of a port in the order in which kube-proxy makes them."""
    front = port.frontend
    ends = usable(port, view)
    if front.protocol not in PROTOCOLS or not ends.everywhere:
        return ()
    outside = ends.here if front.external_local else ends.everywhere
    direct = front.external_local
    internal = front.target_port or split_endpoint(ends.everywhere[0].address)[1]
    build = _Builder(front, view.node, internal, config)
    external = PortFlags.VIP_EXTERNAL_IP
    inside = ends.here if front.internal_local else ends.everywhere
    made = [build.over(inside, front.cluster_ip, config.winkernel.enable_dsr)]
    if ends.available:
        if front.node_port:
            routed = external | PortFlags.LOCAL_ROUTED_VIP
            made.append(build.over(outside, "", direct, routed, front.node_port))
        made += [build.over(outside, ip, direct, external) for ip in front.external_ips]
    made += [build.over(outside, ip, direct, external) for ip in front.load_balancer_ips]
    return tuple(one for one in made if one.endpoints)


class _Builder(msgspec.Struct, frozen=True):
    """Makes the load balancers of one port.

    internal  the port of all endpoints, for HNS knows only one: the Service's targetPort, whatever its slices say, or,
              where that is a name, the first endpoint's
    """

    front: Frontend
    node: str
    internal: int
    config: ProxyConfig

    def over(
        self, ends: Sequence[Backend], vip: str, dsr: bool, flags: PortFlags = PortFlags.NONE, external: int = 0
    ) -> LoadBalancer:
        front = self.front
        affinity = Distribution.SOURCE_IP if front.affinity_seconds else Distribution.NONE
        protocol, external = PROTOCOLS[front.protocol], external or front.port
        ips = tuple(dict.fromkeys(b.ip for b in ends))
        return LoadBalancer(
            id=guid("load balancer", self.node, vip, protocol, self.internal, external),
            name=front.name,
            vip=vip,
            mapping=PortMapping(protocol, self.internal, external, affinity, flags),
            endpoints=tuple(endpoint_id(self.node, ip) for ip in ips),
            ips=ips,
            local=frozenset(b.ip for b in ends if b.node == self.node),
            flags=(Flags.DSR if dsr else Flags.NONE) | (Flags.IPV6 if self.config.family == "IPv6" else Flags.NONE),
        )


def endpoint_id(node: str, ip: str) -> str:
    return guid("endpoint", node, ip)
