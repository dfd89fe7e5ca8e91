"""What `start` is given, checked before anything is started. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.errors import LabError
from labkit.linux.features import BY_NAME
from labkit.net.topology import plan

CNI = ("ptp", "bridge")
IPTABLES = ("nft", "legacy")
PROXY_MODES = ("iptables", "nftables", "ipvs", "ebpf", "userspace", "kernelspace")
MODE_NEEDS = {"nftables": ("nftables",), "ipvs": ("ipvs", "ipset"), "ebpf": ("ebpf-cgroup", "ebpf-tc")}
MOST_IN_EBPF = 64  # programs of one kind for a cgroup (BPF_CGROUP_MAX_PROGS): each node has one for each family
SANDBOXES = ("auto", "namespaces", "uml")
MEMORY = (128, 65536)
FAMILIES = (("IPv4",), ("IPv4", "IPv6"))
PACE = (1, 20)
LINK = ("bw", "delay", "jitter", "loss", "max_queue_size")
OWN_PORTS = (10250, 10256)  # of kubelet and kube-proxy
_PORTS = re.compile(r"(\d{1,5})-(\d{1,5})")
_TIME = re.compile(r"\d+(\.\d+)?(us|ms|s)")


def check(nodes: int, zones: Sequence[str], cni: str, proxy_mode: str, iptables: str, link: Mapping[str, Any]) -> None:
    """Raise `LabError`, which names the argument and what it may be, for the first one that makes no sense."""
    try:
        plan(nodes, zones)
    except ValueError as error:
        raise LabError(str(error)) from error
    if cni not in CNI:
        raise LabError(f"cni is {cni!r}: choose one of {', '.join(CNI)}")
    if proxy_mode not in PROXY_MODES:
        raise LabError(f"proxy_mode is {proxy_mode!r}: choose one of {', '.join(PROXY_MODES)}")
    if iptables and iptables not in IPTABLES:
        raise LabError(f"iptables is {iptables!r}: choose one of {', '.join(IPTABLES)}, or leave it out")
    for name, value in link.items():
        if name not in LINK:
            raise LabError(f"link has no {name!r}: it takes {', '.join(LINK)}")
        if why := _wrong(name, value):
            raise LabError(f"link[{name!r}] is {value!r}: {why}")


def check_sandbox(sandbox: str, memory: int, needs: Sequence[str]) -> None:
    """Raise `LabError` as `check` does."""
    if sandbox not in SANDBOXES:
        raise LabError(f"sandbox is {sandbox!r}: choose one of {', '.join(SANDBOXES)}")
    least, most = MEMORY
    if isinstance(memory, bool) or not isinstance(memory, int) or not least <= memory <= most:
        raise LabError(f"memory is {memory!r}: megabytes are wanted, {least} to {most}")
    for name in needs:
        if name not in BY_NAME:
            raise LabError(f"needs has {name!r}: a kernel's features are {', '.join(BY_NAME)}")


def check_pace(pace: float) -> None:
    """Raise `LabError` as `check` does."""
    slowest, quickest = PACE
    if isinstance(pace, bool) or not isinstance(pace, int | float) or not slowest <= pace <= quickest:
        raise LabError(f"pace is {pace!r}: a number from {slowest} (real) to {quickest} is wanted")


def check_families(families: Sequence[str], proxy_mode: str, nodes: int) -> None:
    """Raise `LabError` as `check` does."""
    if tuple(families) not in FAMILIES:
        raise LabError(f"ip_families is {families!r}: choose ('IPv4',) or ('IPv4', 'IPv6')")
    most = MOST_IN_EBPF // len(families)
    if proxy_mode == "ebpf" and nodes > most:
        raise LabError(f"nodes is {nodes}: in ebpf mode with {' and '.join(families)} choose from 1 to {most}")


def port_range(text: str) -> tuple[int, int]:
    """First and last port of "30000-32767". Raise `LabError` as `check` does."""
    found = _PORTS.fullmatch(text) if isinstance(text, str) else None
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last <= 65535:
        raise LabError(f"service_node_port_range is {text!r}: two ports such as 30000-32767 are wanted")
    if first <= OWN_PORTS[1] and last >= OWN_PORTS[0]:
        raise LabError(f"service_node_port_range is {text!r}: ports 10250 to 10256 are the nodes' own")
    return first, last


def features(cni: str, proxy_mode: str, iptables: str, link: Mapping[str, Any], needs: Sequence[str]) -> list[str]:
    """The features of a kernel that a lab of these arguments uses beside what every lab does."""
    asked = [*needs]
    asked += ["bridge-nf"] if cni == "bridge" else []
    asked += MODE_NEEDS.get(proxy_mode, ())
    asked += [f"iptables-{iptables}"] if iptables else []
    asked += ["netem"] if link.keys() & {"delay", "jitter", "loss", "max_queue_size"} else []
    asked += ["htb"] if "bw" in link else []
    return list(dict.fromkeys(asked))


def _wrong(name: str, value: Any) -> str:
    """What a value of the link should have been; empty where it is right. The limits are Mininet's and tc's."""
    if name in ("delay", "jitter"):
        right = isinstance(value, str) and _TIME.fullmatch(value)
        return "" if right else 'a time such as "5ms" is wanted'
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if name == "bw":
        return "" if 0 < number <= 1000 else "Mbit/s are wanted, above 0 and up to 1000"
    if name == "loss":
        return "" if 0 <= number <= 100 else "per cent are wanted, 0 to 100"
    return "" if isinstance(value, int) and number > 0 else "a number of packets above 0 is wanted"
