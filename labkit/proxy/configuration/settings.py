"""What of a configuration takes effect on a node of the lab: one value, from which each family's ProxyConfig is made.

Of no effect here: bindAddressHardFail, enableProfiling, oomScoreAdj and the conntrack sizes (they belong to the machine
that the lab runs on), portRange, the rest of
winkernel. Source: Kubernetes v1.34, cmd/kube-proxy/app/server_linux.go
(getLocalDetectors, setupConntrack), pkg/proxy/util/nodeport_addresses.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network

import msgspec

from labkit.net.rules import Family
from labkit.proxy.config import EbpfConfig, IpvsConfig, ProxyConfig, Winkernel
from labkit.proxy.configuration.fields import PRIMARY, KubeProxyConfiguration

LOOPBACK = ("iptables", "ebpf")
"""The modes that may have NodePorts on 127.0.0.1."""


class Settings(msgspec.Struct, frozen=True):
    """A complete configuration, with what follows from it. `service_cidrs`: as the cluster's ServiceCIDRs have them."""

    config: KubeProxyConfiguration
    service_cidrs: tuple[str, ...] = ()

    @property
    def mode(self) -> str:
        return self.config.mode

    @property
    def sync_period(self) -> float:
        """Seconds between looks at what others did to the node; also after which a failed sync is tried again."""
        return self.config.backend.sync_period.seconds

    @property
    def min_sync_period(self) -> float:
        """Seconds between the end of one sync and the beginning of the next."""
        return self.config.backend.min_sync_period.seconds

    def proxy(self, family: Family, addresses: Sequence[str] = (), pod_cidrs: Sequence[str] = ()) -> ProxyConfig:
        """The rules' settings on the node that has these addresses and ranges of pods."""
        config = self.config
        part = config.nftables if self.mode == "nftables" else config.iptables
        bit = config.nftables.masquerade_bit if self.mode == "nftables" else config.iptables.masquerade_bit
        return ProxyConfig(
            cluster_cidr=self._local_cidr(family, pod_cidrs),
            local_interface=self._local_interface,
            masquerade_all=part.masquerade_all,
            masquerade_bit=14 if bit is None else bit,
            localhost_nodeports=config.iptables.localhost_node_ports is not False and self.mode in LOOPBACK,
            nodeport_addresses=tuple(self._node_ports(family, addresses)),
            service_cidrs=tuple(cidr for cidr in self.service_cidrs if (":" in cidr) == (family == "IPv6")),
            conntrack_liberal=config.conntrack.tcp_be_liberal,
            family=family,
            ipvs=self._ipvs,
            ebpf=EbpfConfig(config.ebpf.algorithm, config.ebpf.map_max),
            winkernel=Winkernel(enable_dsr=config.winkernel.enable_dsr),
        )

    def sysctls(self) -> Iterator[tuple[str, str]]:
        """What kube-proxy sets of the node's connection tracking: name below /proc/sys/net/netfilter, value.

        A time of zero leaves the kernel's own.
        """
        conntrack = self.config.conntrack
        times = (
            ("nf_conntrack_tcp_timeout_established", conntrack.tcp_established_timeout),
            ("nf_conntrack_tcp_timeout_close_wait", conntrack.tcp_close_wait_timeout),
            ("nf_conntrack_udp_timeout", conntrack.udp_timeout),
            ("nf_conntrack_udp_timeout_stream", conntrack.udp_stream_timeout),
        )
        yield from ((name, str(round(time.seconds))) for name, time in times if time is not None and time > 0)
        if conntrack.tcp_be_liberal:
            yield "nf_conntrack_tcp_be_liberal", "1"

    def _local_cidr(self, family: Family, pod_cidrs: Sequence[str]) -> str:
        """The range from which a pod's own traffic comes; empty: what is local cannot be told by address."""
        ranges = {"ClusterCIDR": self.config.cluster_cidr.split(","), "NodeCIDR": list(pod_cidrs)}
        among = ranges.get(self.config.detect_local_mode, [])
        return next((cidr for cidr in among if cidr and (":" in cidr) == (family == "IPv6")), "")

    @property
    def _ipvs(self) -> IpvsConfig:
        ipvs = self.config.ipvs
        times = (round(time.seconds) for time in (ipvs.tcp_timeout, ipvs.tcp_fin_timeout, ipvs.udp_timeout))
        return IpvsConfig(ipvs.scheduler, ipvs.strict_arp, ipvs.exclude_cidrs or (), *times)

    @property
    def _local_interface(self) -> str:
        """The interface by which it comes, in iptables' words: `cni0`, `veth+`."""
        local = self.config.detect_local
        match self.config.detect_local_mode:
            case "BridgeInterface":
                return local.bridge_interface
            case "InterfaceNamePrefix":
                return f"{local.interface_name_prefix}+"
        return ""

    def _node_ports(self, family: Family, addresses: Sequence[str]) -> Iterator[str]:
        for given in self.config.node_port_addresses or ():
            if given == PRIMARY:
                yield from [str(ip_network(a)) for a in addresses if (":" in a) == (family == "IPv6")][:1]
            elif (":" in given) == (family == "IPv6"):
                yield str(ip_network(given, strict=False))
