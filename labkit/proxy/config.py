"""What a proxy is told to do: kube-proxy's configuration, as far as it shapes what a node does with packets."""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.net.rules import Family


class IpvsConfig(msgspec.Struct, frozen=True):
    """The part `ipvs` of KubeProxyConfiguration.

    scheduler      who gets a new connection; empty: "rr"
    strict_arp     no ARP for Service addresses, as balancers that announce them by ARP themselves need
    exclude_cidrs  prefixes whose virtual servers are somebody else's, and stay
    tcp_timeout, tcp_fin_timeout, udp_timeout  seconds that an idle connection is kept; 0: as the kernel has it
    """

    scheduler: str = ""
    strict_arp: bool = False
    exclude_cidrs: tuple[str, ...] = ()
    tcp_timeout: int = 0
    tcp_fin_timeout: int = 0
    udp_timeout: int = 0


class Winkernel(msgspec.Struct, frozen=True):
    """Settings of the mode kernelspace. enable_dsr: direct server return: pods see who asks for a cluster IP."""

    enable_dsr: bool = False


class EbpfConfig(msgspec.Struct, frozen=True):
    """Settings of the ebpf mode; the defaults are Cilium's, but for the room, which is memory of every node.

    algorithm  loadBalancer.algorithm: how connections from outside get their endpoint; a Service's annotation
               `service.cilium.io/lb-algorithm` goes before it
    map_max    bpf.lbMapMax: entries that each map of Services has room for
    """

    algorithm: Literal["random", "maglev"] = "random"
    map_max: int = 16384


class ProxyConfig(msgspec.Struct, frozen=True):
    """Settings of one address family. The defaults are kube-proxy's.

    cluster_cidr         pods' addresses (detectLocalMode ClusterCIDR): all else is masqueraded. "" turns that off
    local_interface      instead: pods' traffic comes by this interface, `cni0` or `veth+` (BridgeInterface and
                         InterfaceNamePrefix; iptables mode only)
    masquerade_bit       bit of the packet mark that asks for masquerading
    localhost_nodeports  whether NodePorts answer on 127.0.0.1 (needs net.ipv4.conf.all.route_localnet)
    nodeport_addresses   prefixes of the node's addresses on which NodePorts answer; none: as the mode has it
    service_cidrs        ranges of cluster IPs, as the ServiceCIDRs have them: nftables mode drops what is for an
                         address there that no Service has
    conntrack_liberal    net.netfilter.nf_conntrack_tcp_be_liberal is set: keep packets in state INVALID
    winkernel            of the mode kernelspace alone
    ebpf                 of that mode alone
    """

    cluster_cidr: str = "10.244.0.0/16"
    local_interface: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_nodeports: bool = True
    nodeport_addresses: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    conntrack_liberal: bool = False
    ebpf: EbpfConfig = EbpfConfig()
    family: Family = "IPv4"
    ipvs: IpvsConfig = IpvsConfig()
    winkernel: Winkernel = Winkernel()

    @property
    def localhost(self) -> bool:
        """NodePorts on localhost never work for IPv6."""
        return self.localhost_nodeports and self.family == "IPv4"


DEFAULT = ProxyConfig()
