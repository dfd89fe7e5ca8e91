"""The rules of one Service port.

    KUBE-SERVICES --cluster IP--> KUBE-SVC-… (or KUBE-SVL-…, this node's endpoints only) -> KUBE-SEP-… -> DNAT
    KUBE-SERVICES --external or load balancer IP--> [KUBE-FW-…, source ranges] -> KUBE-EXT-… -> KUBE-SVC-…/KUBE-SVL-…
    KUBE-NODEPORTS --node port--> KUBE-EXT-…

Source: Kubernetes v1.34, pkg/proxy/iptables/proxier.go (`syncProxyRules`, `writeServiceToEndpointRules`).
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from labkit.proxy.config import ProxyConfig
from labkit.proxy.draft import (
    Draft,
    comment,
    destination,
    jump,
    one_of,
    reject,
    remember,
    remembered,
    source,
    to_port,
)
from labkit.proxy.endpoints import Selection
from labkit.proxy.iptables.names import endpoint_chain, port_hash
from labkit.proxy.model import Backend, Frontend

LOCAL_SOURCE = "-m addrtype --src-type LOCAL"
LOCAL_DESTINATION = "-m addrtype --dst-type LOCAL"


class PortRules:
    """Writes all rules of `port` into `draft`. `commented`: whether endpoint rules carry comments."""

    def __init__(
        self, draft: Draft, port: Frontend, selection: Selection, config: ProxyConfig, node_ip: str, commented: bool
    ) -> None:
        self.draft = draft
        self.port = port
        self.selection = selection
        self.config = config
        self.node_ip = node_ip
        self.commented = commented
        named = port_hash(port.name, port.protocol)
        self._svc, self._svl = f"KUBE-SVC-{named}", f"KUBE-SVL-{named}"
        self._ext, self._fw = f"KUBE-EXT-{named}", f"KUBE-FW-{named}"

    def write(self) -> None:
        self._capture()
        if not self._internal_target:
            self._masquerade_internal()
        if self._has_external_chain:
            self._external_chain()
        if self._has_firewall_chain:
            self._firewall_chain()
        if self.selection.cluster:
            self._spread(self._svc, self.selection.cluster)
        if self.selection.local:
            self._spread(self._svl, self.selection.local)
        for backend in self.selection.reachable:
            self._endpoint(backend)

    @property
    def _internal_chain(self) -> str:
        return self._svl if self.port.internal_local else self._svc

    @property
    def _internal_target(self) -> str:
        """What happens to traffic for the cluster IP instead of forwarding: a target, or "" where it is forwarded."""
        return self._refusal(self.port.internal_local)

    @property
    def _external_target(self) -> str:
        """The same for traffic that comes from outside."""
        return self._refusal(self.port.external_local)

    def _refusal(self, local_only: bool) -> str:
        if not self.selection.anywhere:
            return reject(self.draft.family)
        return jump("DROP") if local_only and not self.selection.local else ""

    @property
    def _has_external_chain(self) -> bool:
        """Also without an endpoint on this node: pods and the node itself still reach the others through it."""
        return self.selection.anywhere and self.port.external

    @property
    def _has_firewall_chain(self) -> bool:
        return self.selection.anywhere and bool(self.port.load_balancer_ips and self.port.source_ranges)

    def _refused(self) -> str:
        local = "local " if self.selection.anywhere else ""
        return comment(f"{self.port.name} has no {local}endpoints")

    def _capture(self) -> None:
        """Everything that leads to the port's chains, or refuses what cannot be served."""
        port, draft = self.port, self.draft
        protocol, dport = f"-p {port.protocol}", to_port(port.protocol, port.port)
        to = destination(port.cluster_ip)
        if self._internal_target:
            draft.filter("KUBE-SERVICES", to, protocol, self._refused(), dport, self._internal_target)
        else:
            what = comment(f"{port.name} cluster IP")
            draft.nat("KUBE-SERVICES", to, protocol, what, dport, jump(self._internal_chain))
        for ip in port.external_ips:
            self._capture_external(ip, "external IP", self._ext)
        for ip in port.load_balancer_ips:
            self._capture_external(ip, "loadbalancer IP", self._fw if self._has_firewall_chain else self._ext)
            if self._has_firewall_chain:
                refused = comment(f"{port.name} traffic not accepted by {self._fw}")
                draft.filter("KUBE-PROXY-FIREWALL", destination(ip), protocol, refused, dport, jump("DROP"))
        if port.node_port:
            self._capture_node_port()
        if port.health_check_port:
            what = comment(f"{port.name} health check node port")
            draft.filter("KUBE-NODEPORTS", "-p tcp", what, to_port("tcp", port.health_check_port), jump("ACCEPT"))

    def _capture_external(self, ip: str, what: str, chain: str) -> None:
        port, to, dport = self.port, destination(ip), to_port(self.port.protocol, self.port.port)
        protocol = f"-p {port.protocol}"
        if self.selection.anywhere:
            self.draft.nat("KUBE-SERVICES", to, protocol, comment(f"{port.name} {what}"), dport, jump(chain))
        if self._external_target:
            self.draft.filter("KUBE-EXTERNAL-SERVICES", to, protocol, self._refused(), dport, self._external_target)

    def _capture_node_port(self) -> None:
        port, dport = self.port, to_port(self.port.protocol, self.port.node_port)
        protocol = f"-p {port.protocol}"
        if self.selection.anywhere:
            self.draft.nat("KUBE-NODEPORTS", protocol, comment(port.name), dport, jump(self._ext))
        if self._external_target:
            self.draft.filter(
                "KUBE-EXTERNAL-SERVICES", protocol, self._refused(), LOCAL_DESTINATION, dport, self._external_target
            )

    def _masquerade_internal(self) -> None:
        """What comes for the cluster IP from outside the pods' range must return through this node."""
        port = self.port
        if not (self.config.masquerade_all or self.config.cluster_cidr or self.config.local_interface):
            return
        by_address, by_interface = ("", "") if self.config.masquerade_all else self._from_pods("! ")
        self.draft.nat(
            self._internal_chain,
            by_address,
            destination(port.cluster_ip),
            by_interface,
            f"-p {port.protocol}",
            comment(f"{port.name} cluster IP"),
            to_port(port.protocol, port.port),
            jump("KUBE-MARK-MASQ"),
        )

    def _from_pods(self, negated: str = "") -> tuple[str, str]:
        """What tells a pod's own traffic: by its source, or by the interface (proxy/util/localdetector.go)."""
        if self.config.local_interface:
            return "", f"{negated}-i {self.config.local_interface}"
        return f"{negated}{source(self.config.cluster_cidr)}", ""

    def _external_chain(self) -> None:
        """KUBE-EXT-…: with externalTrafficPolicy Local the source is kept, and own traffic goes to any node."""
        draft, which = self.draft, f"for {self.port.name} external destinations"
        if not self.port.external_local:
            draft.nat(self._ext, comment(f"masquerade traffic {which}"), jump("KUBE-MARK-MASQ"))
        else:
            if self.config.cluster_cidr or self.config.local_interface:
                draft.nat(self._ext, *self._from_pods(), comment(f"pod traffic {which}"), jump(self._svc))
            masquerade, route = f"masquerade LOCAL traffic {which}", f"route LOCAL traffic {which}"
            draft.nat(self._ext, comment(masquerade), LOCAL_SOURCE, jump("KUBE-MARK-MASQ"))
            draft.nat(self._ext, comment(route), LOCAL_SOURCE, jump(self._svc))
        if not self._external_target:
            draft.nat(self._ext, jump(self._svl if self.port.external_local else self._svc))

    def _firewall_chain(self) -> None:
        """KUBE-FW-…: what no range allows leaves without DNAT, and is dropped by KUBE-PROXY-FIREWALL."""
        port, draft = self.port, self.draft
        what = comment(f"{port.name} loadbalancer IP")
        for prefix in port.source_ranges:
            draft.nat(self._fw, source(prefix), what, jump(self._ext))
        # A node that holds the load balancer's address as its own reaches it with that address as source.
        if self.node_ip and any(ip_address(self.node_ip) in ip_network(r) for r in port.source_ranges):
            for ip in port.load_balancer_ips:
                draft.nat(self._fw, source(ip), what, jump(self._ext))
        draft.nat(self._fw, comment(f"other traffic to {port.name} will be dropped by KUBE-PROXY-FIREWALL"))

    def _spread(self, chain: str, backends: tuple[Backend, ...]) -> None:
        """One endpoint of n: the first with probability 1/n, the next with 1/(n-1) of what is left, and so on."""
        family, seconds = self.draft.family, self.port.affinity_seconds
        to = [(endpoint_chain(self.port.name, self.port.protocol, b.address), b.address) for b in backends]
        if seconds:
            for sep, address in to:
                self.draft.nat(chain, self._to(address), remembered(sep, seconds, family), jump(sep))
        for left, (sep, address) in zip(range(len(to), 0, -1), to, strict=True):
            self.draft.nat(chain, self._to(address), one_of(left), jump(sep))

    def _to(self, address: str) -> str:
        return comment(f"{self.port.name} -> {address}") if self.commented else ""

    def _endpoint(self, backend: Backend) -> None:
        """KUBE-SEP-…: masquerade a pod that reaches itself (else it would answer itself directly), then DNAT."""
        port, draft = self.port, self.draft
        chain = endpoint_chain(port.name, port.protocol, backend.address)
        named = comment(port.name) if self.commented else ""
        noted = remember(chain, draft.family) if port.affinity_seconds else ""
        draft.nat(chain, source(backend.ip), named, jump("KUBE-MARK-MASQ"))
        dnat = f"-j DNAT --to-destination {backend.address}"
        draft.nat(chain, f"-p {port.protocol}", named, noted, f"-m {port.protocol}", dnat)
