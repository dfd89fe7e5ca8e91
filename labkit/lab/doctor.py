"""`labkit doctor`: what this machine offers, what is missing, how to get it."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from labkit.errors import SandboxError
from labkit.sandbox.start import Sandbox

REMEDIES = {
    "bridge-nf (pods on cni0)": 'sudo modprobe br_netfilter; without it, use cni="ptp" (the default)',
    "iptables-nft": "sudo modprobe nf_tables; sudo apt-get install iptables",
    "iptables-legacy": "sudo modprobe iptable_nat; not needed where iptables-nft works",
    "netem (delay, loss)": "sudo modprobe sch_netem, where the kernel has it; links then have no delay",
    "htb (bandwidth)": "sudo modprobe sch_htb; links then have no bandwidth limit",
}
PACKAGES = {
    "ip": "iproute2",
    "tc": "iproute2",
    "nft": "nftables",
    "dig": "bind9-dnsutils",
    "ping": "iputils-ping",
    "mnexec": "mininet",
}
NEEDED = ("veth", "bridge")


@dataclass(frozen=True)
class Report:
    """What was found, line by line; `usable` says whether a lab can start."""

    lines: tuple[str, ...]
    usable: bool

    def __str__(self) -> str:
        return "\n".join(self.lines)


def examine() -> Report:
    """Start a sandbox and look around in it."""
    user = "root" if os.geteuid() == 0 else f"user {os.geteuid()}, without privileges"
    lines = [f"Linux {platform.release()}, Python {platform.python_version()}, {user}"]
    try:
        sandbox = Sandbox("labkit.lab.probe:main")
        found = sandbox.call("probe")
        sandbox.close()
    except SandboxError as error:
        return Report((*lines, "sandbox: none works", f"  {error}"), usable=False)
    kernel, programs = found["kernel"], found["programs"]
    usable = not any(kernel[name] for name in NEEDED) and not (kernel["iptables-nft"] and kernel["iptables-legacy"])
    lines.append(
        "sandbox: namespaces (a lab will use it)"
        if usable
        else "sandbox: namespaces work, but parts of the kernel are missing"
    )
    lines.append("kernel")
    lines += [_line(name, why, REMEDIES.get(name, "")) for name, why in kernel.items()]
    lines.append("programs")
    lines += [_line(name, why, f"sudo apt-get install {PACKAGES.get(name, name)}") for name, why in programs.items()]
    return Report(tuple(lines), usable)


def _line(name: str, why: str, remedy: str) -> str:
    if not why:
        return f"  ok       {name}"
    return f"  missing  {name}: {why}" + (f"\n           remedy: {remedy}" if remedy else "")
