"""Does this kernel have a feature? Each probe uses it in a network namespace of its own, by system calls where it can.

A probe returns nothing where the feature is there, and raises `LabError` or `OSError` where it is not.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from labkit.errors import LabError, MissingFeature, NetlinkError
from labkit.linux import conntrack, iptables, netns, sock_diag
from labkit.linux.features import BY_NAME, NOT_IN_OWN
from labkit.linux.iptables import Variant
from labkit.linux.netlink import CREATE, Netlink, attr
from labkit.linux.nfnetlink import Netfilter, header, nest, text
from labkit.linux.rtnetlink import Links
from labkit.sandbox import syscalls

Probe = Callable[[str], object]
"""Called with the path of an empty network namespace."""

_BPF, _PROG_LOAD = 321, 5  # of x86-64
_XDP, _CLS, _CGROUP_SOCK_ADDR, _INET4_CONNECT = 6, 3, 18, 10
_RETURN_ONE = struct.pack("=BBhiBBhi", 0xB7, 0, 0, 1, 0x95, 0, 0, 0)  # r0 = 1; exit
_TUNSETIFF, _IFF_TUN = 0x400454CA, 0x0001
_NEW_SET, _DESTROY_SET = 0x602, 0x603
_NEW_QDISC, _TC_ROOT = 36, 0xFFFFFFFF
_GENERIC, _CONTROL, _GET_FAMILY = 16, 16, bytes([3, 1, 0, 0])


def require(names: Sequence[str]) -> None:
    """Raises `MissingFeature` where one of the features is not there."""
    if not names or not (lacks := missing(names)):
        return
    lines = [f"{name} ({BY_NAME[name].purpose}): {reason.strip()}" for name, reason in lacks.items()]
    remedies = "; ".join(dict.fromkeys(BY_NAME[name].remedy for name in lacks))
    own = (
        'the kernel that a lab may bring along, sandbox="uml", does not have it either: sandbox="namespaces" uses this '
        "machine's own"
        if lacks.keys() & NOT_IN_OWN
        else 'or let the lab bring a kernel of its own that has it, lab.start(sandbox="uml")'
    )
    raise MissingFeature(
        f"this kernel lacks what the lab asks for: {'; '.join(lines)}. Remedy: {remedies}; {own}", missing=lacks
    )


def missing(names: Iterable[str]) -> dict[str, str]:
    """Those of the features that are not there, each with the kernel's reason."""
    path = netns.create("probe")
    try:
        with Links(path) as links:
            links.set_link("lo", up=True)
        found = {name: _why_not(PROBES[name], path) for name in names}
    finally:
        netns.delete(path)
    return {name: why for name, why in found.items() if why}


def _why_not(probe: Probe, path: str) -> str:
    try:
        probe(path)
    except (LabError, OSError) as error:
        return str(error)
    return ""


def _link(kind: str, data: bytes = b"") -> Probe:
    def probe(path: str) -> None:
        with Links(path) as links:
            links.add_link("probe", kind, data)
            links.delete_link("probe")

    return probe


def _veth(path: str) -> None:
    with Links(path) as links:
        links.add_veth("probe", "probe-far", index=50)
        links.delete_link("probe")


def _macvlan(path: str) -> None:
    with Links(path) as links:
        links.add_veth("probe", "probe-far", index=50)
        links.add_link("probe-mac", "macvlan", below=links.index("probe"))
        links.delete_link("probe")


def _bridge_netfilter(path: str) -> None:
    with netns.entered(path):
        if not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
            raise LabError("the module br_netfilter is not loaded")


def _qdisc(kind: str) -> Probe:
    """Without options a kind that the kernel knows is refused as invalid, another one as unknown."""

    def probe(path: str) -> None:
        with Links(path) as links:
            body = struct.pack("=BxxxiIII", 0, links.index("lo"), 0, _TC_ROOT, 0) + attr(1, kind.encode() + b"\0")
            try:
                links.request(_NEW_QDISC, CREATE, body, f"add qdisc {kind}")
            except NetlinkError as error:
                if error.details["errno"] != errno.EINVAL:
                    raise

    return probe


def _family(name: str) -> Probe:
    """Generic netlink's family of a module."""

    def probe(path: str) -> None:
        with Netlink(path, _GENERIC) as kernel:
            kernel.request(_CONTROL, 0, _GET_FAMILY + attr(2, name.encode() + b"\0"), f"find {name}")

    return probe


def _tun(path: str) -> None:
    with netns.entered(path), Path("/dev/net/tun").open("r+b", buffering=0) as tun:
        fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"probe", _IFF_TUN))


def _iptables(variant: Variant) -> Probe:
    return lambda path: iptables.restore(path, iptables.PROBE, variant)


def _nftables(path: str) -> None:
    """With the parts that kube-proxy's rules are made of."""
    from labkit.linux.nftables.kernel import NfTables
    from labkit.linux.nftables.messages import Messages
    from labkit.net import nft

    make, inner = Messages("ip", "probe"), nft.Verdict("jump", "inner")
    where = nft.Match("ip daddr", "10.0.0.1")
    rules = (
        nft.Rule((nft.CtState("new"), where, nft.FibLocal("saddr"), nft.SetMark("|", 1), inner)),
        nft.Rule((nft.Spread((inner,)),)),
        nft.Rule((nft.Masquerade(),)),
    )
    chain = nft.Chain("outer", rules, nft.Hook("nat", "postrouting", 100))
    made = [make.add_table("probe"), make.add_chain(nft.Chain("inner")), make.add_chain(chain)]
    filled = [message for rule in rules for message in make.add_rule(chain.name, rule)]
    with NfTables(path, "ip") as kernel:
        kernel.apply([[*made, *filled, make.delete_table()]])


def _ipset(path: str) -> None:
    with Netfilter(path) as kernel:
        name = attr(1, b"\6") + text(2, "probe")
        kind = text(3, "hash:ip") + attr(4, b"\4") + attr(5, b"\2") + nest(7)
        kernel.request(_NEW_SET, CREATE, header() + name + kind, "make a set")
        kernel.request(_DESTROY_SET, 0, header() + name, "delete a set")


def _ebpf(kind: int, attach: int = 0) -> Probe:
    def probe(_: str) -> None:
        code, licence = ctypes.create_string_buffer(_RETURN_ONE), ctypes.create_string_buffer(b"GPL")
        about = struct.pack("=IIQQIIQII16sII", kind, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0,
                            0, b"", 0, attach)  # fmt: skip
        os.close(syscalls.call(_BPF, _PROG_LOAD, about, len(about), what="load an eBPF program"))

    return probe


def _sctp(path: str) -> None:
    netns.socket_in(path, socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()


def _conntrack(path: str) -> None:
    conntrack.dump(path)


PROBES: dict[str, Probe] = {
    "veth": _veth,
    "bridge": _link("bridge"),
    "bridge-nf": _bridge_netfilter,
    "vxlan": _link("vxlan", bytes.fromhex("0800010001000000")),
    "macvlan": _macvlan,
    "tun": _tun,
    "wireguard": _link("wireguard"),
    "openvswitch": _family("ovs_datapath"),
    "conntrack": _conntrack,
    "iptables-legacy": _iptables(Variant.LEGACY),
    "iptables-nft": _iptables(Variant.NFT),
    "nftables": _nftables,
    "ipset": _ipset,
    "ipvs": _family("IPVS"),
    "sctp": _sctp,
    "htb": _qdisc("htb"),
    "tbf": _qdisc("tbf"),
    "netem": _qdisc("netem"),
    "ebpf-tc": _ebpf(_CLS),
    "ebpf-xdp": _ebpf(_XDP),
    "ebpf-cgroup": _ebpf(_CGROUP_SOCK_ADDR, _INET4_CONNECT),
    "sock-destroy": sock_diag.destroys,
}
