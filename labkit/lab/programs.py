"""The programs that a lab, its notebooks and User-Mode Linux run: what for, from which package, in which version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from labkit.linux.features import EVERY

_VERSION = re.compile(r"(?<!\w)v?(\d[\w.]*)")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Program:
    """A program, and the package of Debian and Ubuntu that has it.

    sign       a regular expression that finds its use in a notebook's cells
    notebooks  those in which it does (a test compares), or EVERY
    ask        the option that makes it say its version; empty where it wants a kernel that not everybody has
    """

    name: str
    package: str
    purpose: str
    sign: str = ""
    notebooks: tuple[str, ...] = ()
    ask: str = "--version"


@dataclass(frozen=True)
class Found:
    """A program as it was found here: its version, "installed" where it does not say, "" where it is missing."""

    program: Program
    version: str


PROGRAMS = (
    Program("linux.uml", "user-mode-linux", "a kernel for labs where the machine's own refuses"),
    Program("modprobe", "kmod", "modules of that kernel"),
    Program("iptables", "iptables", "kube-proxy's rules", notebooks=EVERY),
    Program("mnexec", "mininet", "Mininet's own commands on a host", ask="-v"),
    Program("tc", "iproute2", "links with bandwidth, delay or loss", r"\blink=", ask="-V"),
    Program(
        "ip",
        "iproute2",
        "addresses and routes, as a node shows them",
        r"""["'; ]ip (-|addr|link|neigh|route|rule)""",
        ("22_loadbalancer", "40_kube_proxy", "42_ipvs", "44_userspace_kernelspace"),
        ask="-V",
    ),
    Program(
        "nft",
        "nftables",
        "rules of nftables, as a node shows them",
        r"""["'; ]nft """,
        ("40_kube_proxy", "43_nftables_ebpf"),
    ),
    Program(
        "ipvsadm",
        "ipvsadm",
        "tables of IPVS, as a node shows them",
        r"\bipvsadm ",
        ("40_kube_proxy", "42_ipvs"),
        ask="",
    ),
    Program(
        "ipset",
        "ipset",
        "sets of addresses in rules, as a node shows them",
        r"""["'; ]ipset """,
        ("42_ipvs",),
        ask="-v",
    ),
    Program(
        "conntrack",
        "conntrack",
        "tracked connections, as a node shows them",
        r"""["'; ]conntrack -""",
        ("22_loadbalancer",),
    ),
    Program(
        "clang", "clang", "the programs of kube-proxy's ebpf mode", r"""proxy_mode=["']ebpf""", ("43_nftables_ebpf",)
    ),
    Program("curl", "curl", "HTTP requests by hand", r"\bcurl ", ("00_start", "40_kube_proxy")),
    Program(
        "dig",
        "bind9-dnsutils",
        "DNS questions by hand",
        r"\bdig ",
        ("23_externalname", "24_headless", "25_service_types"),
        ask="-v",
    ),
    Program("ping", "iputils-ping", "is a host there", r"""["'; ]ping["' ]""", ("20_clusterip",), ask="-V"),
    Program("tcpdump", "tcpdump", "packets, as an interface shows them", r"\btcpdump "),
    Program("ps", "procps", "processes of a pod", r"""["'; ]ps[ "']"""),
)


def find() -> tuple[Found, ...]:
    """Every program with its version."""
    return tuple(Found(program, _version(program)) for program in PROGRAMS)


def _version(program: Program) -> str:
    path = shutil.which(program.name, path=f"{os.environ.get('PATH', '')}:{PATH}")
    if path is None:
        return ""
    if not program.ask:
        return "installed"
    try:
        done = subprocess.run([path, program.ask], capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):  # ping has a capability that not everybody may get outside of a lab
        return "installed"
    found = _VERSION.search(done.stdout + done.stderr)
    return found[1] if found else "installed"
