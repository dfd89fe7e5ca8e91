"""Looks at the kernel from inside a sandbox: what a lab in it could use. Run as a sandbox's entry by the doctor."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from labkit.errors import LabError
from labkit.linux import iptables, netns
from labkit.linux.rtnetlink import Links
from labkit.sandbox.channel import Peer, Stream

PROGRAMS = ("ip", "tc", "iptables", "nft", "conntrack", "curl", "dig", "ping", "tcpdump", "mnexec")


def main(channel: Stream) -> None:
    """Serve one question, `probe`."""
    asyncio.run(_serve(channel))


async def _serve(channel: Stream) -> None:
    peer = await Peer.over(channel, {"probe": probe})
    await peer.closed()


def probe() -> dict[str, dict[str, str]]:
    """What works ("" ) or why not, by name: `kernel` parts and `programs`."""
    path = netns.create("probe")
    with Links(path) as links:
        links.set_link("lo", up=True)
        kernel: dict[str, Callable[[], object]] = {
            "veth": lambda: links.add_veth("probe-v", "probe-w", index=50),
            "bridge": lambda: links.add_link("probe-b", "bridge"),
            "vxlan": lambda: links.add_link("probe-x", "vxlan", data=bytes.fromhex("0800010001000000")),
            "bridge-nf (pods on cni0)": lambda: _bridge_netfilter(path),
            "iptables-nft": lambda: iptables.restore(path, iptables.PROBE, iptables.Variant.NFT),
            "iptables-legacy": lambda: iptables.restore(path, iptables.PROBE, iptables.Variant.LEGACY),
            "htb (bandwidth)": lambda: _qdisc(path, "htb"),
            "netem (delay, loss)": lambda: _qdisc(path, "netem"),
        }
        found = {name: _why_not(attempt) for name, attempt in kernel.items()}
    programs = {name: "" if shutil.which(name) else "not installed" for name in PROGRAMS}
    return {"kernel": found, "programs": programs}


def _why_not(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (LabError, OSError) as error:
        return str(error)
    return ""


def _qdisc(path: str, kind: str) -> None:
    with netns.entered(path):
        done = subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", kind], capture_output=True, text=True)
    if done.returncode:
        raise LabError(done.stderr.strip())


def _bridge_netfilter(path: str) -> None:
    with netns.entered(path):
        if not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
            raise LabError("the module br_netfilter is not loaded")
