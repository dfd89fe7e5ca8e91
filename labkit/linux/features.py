"""What a lab can ask of a kernel, by name: what it is for, and how to get it. Plain data; `probes` looks for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Feature:
    """A part of the kernel.

    purpose    what a lab does with it
    remedy     the command that brings it to this machine's own kernel; for eBPF, which no user namespace has, the one
               that brings User-Mode Linux
    sign       a regular expression that finds its use in a notebook's cells
    notebooks  those in which it does (a test compares), or EVERY
    instead    another feature that serves as well
    """

    name: str
    purpose: str
    remedy: str
    sign: str = ""
    notebooks: tuple[str, ...] = ()
    instead: str = ""


EVERY = ("every notebook",)
_EBPF = r"""proxy_mode=["']ebpf"""
IPVS = ("42_ipvs",)
_BOTH = ("43_nftables_ebpf", "45_scaling")
FEATURES = (
    Feature("veth", "a pod's cable to its node", "sudo modprobe veth", notebooks=EVERY),
    Feature("bridge", "switches, pods on cni0", "sudo modprobe bridge", notebooks=EVERY),
    Feature("bridge-nf", 'Services for pods on cni0 (cni="bridge")', "sudo modprobe br_netfilter", r'cni="bridge"'),
    Feature("vxlan", "overlay networks", "sudo modprobe vxlan"),
    Feature("macvlan", "pods directly on the node's network", "sudo modprobe macvlan"),
    Feature("tun", "tunnels that a program serves", "sudo modprobe tun"),
    Feature("wireguard", "encryption between nodes", "sudo modprobe wireguard"),
    Feature("openvswitch", "Open vSwitch's datapath", "sudo modprobe openvswitch"),
    Feature("conntrack", "connection tracking", "sudo modprobe nf_conntrack_netlink", notebooks=EVERY),
    Feature(
        "iptables-legacy",
        "kube-proxy's rules, older variant",
        "sudo modprobe iptable_nat",
        notebooks=EVERY,
        instead="iptables-nft",
    ),
    Feature(
        "iptables-nft",
        "kube-proxy's rules, as on real nodes",
        "sudo modprobe nft_compat",
        notebooks=EVERY,
        instead="iptables-legacy",
    ),
    Feature("nftables", "kube-proxy in nftables mode", "sudo modprobe nf_tables", r'proxy_mode="nftables"', _BOTH),
    Feature("ipset", "sets of addresses in rules", "sudo modprobe ip_set", r'proxy_mode="ipvs"', IPVS),
    Feature("ipvs", "kube-proxy in IPVS mode", "sudo modprobe ip_vs", r'proxy_mode="ipvs"', IPVS),
    Feature("sctp", "servers and clients of SCTP (rules need it not)", "sudo modprobe sctp"),
    Feature("htb", "links of limited bandwidth", "sudo modprobe sch_htb", r'"bw":'),
    Feature("tbf", "links of limited bandwidth, simple", "sudo modprobe sch_tbf"),
    Feature("netem", "links with delay and loss", "sudo modprobe sch_netem", r'"(delay|jitter|loss)":'),
    Feature("ebpf-tc", "eBPF programs on interfaces", "sudo apt-get install user-mode-linux", _EBPF, _BOTH),
    Feature("ebpf-xdp", "eBPF programs in front of the network stack", "sudo apt-get install user-mode-linux"),
    Feature("ebpf-cgroup", "eBPF programs on sockets", "sudo apt-get install user-mode-linux", _EBPF, _BOTH),
    Feature("sock-destroy", "ebpf mode: UDP clients of an endpoint that went are told so", "sudo modprobe udp_diag"),
)
NOT_IN_OWN = frozenset({"nftables", "iptables-nft", "wireguard", "sock-destroy"})
"""What the kernel that a lab brings along (User-Mode Linux) does not have either."""
BY_NAME = {feature.name: feature for feature in FEATURES}
