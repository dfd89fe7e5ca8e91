"""The bare calls that the benchmark compares the lab with, in a sandbox of their own."""

from __future__ import annotations

import asyncio
import time

from labkit.linux import netns
from labkit.linux.rtnetlink import Links
from labkit.sandbox.channel import Peer, Stream


def main(channel: Stream) -> None:
    """Serve `pods`, and `nothing`."""
    asyncio.run(_serve(channel))


async def _serve(channel: Stream) -> None:
    peer = await Peer.over(channel, {"pods": pods, "nothing": lambda: None})
    await peer.closed()


def pods(n: int) -> float:
    """Seconds for each of `n` namespaces with a veth pair, an address, a route and a bridge port: netlink, no more."""
    with Links() as node:
        node.set_link("lo", up=True)
        node.add_link("cni0", "bridge", up=True)
        node.add_address("cni0", "10.0.0.1/16")
        bridge = node.index("cni0")
        began = time.perf_counter()
        for i in range(n):
            path = netns.create(f"bare-{i}")
            node.add_veth(f"veth{i}", "eth0", path, index=10 + i)
            with node.batch():
                node.set_link(f"veth{i}", up=True, master=bridge)
                node.set_link(f"veth{i}", hairpin=True)
            with Links(path) as pod, pod.batch():
                pod.set_link("lo", up=True)
                pod.set_link("eth0", up=True)
                pod.add_address("eth0", f"10.0.{i // 250 + 1}.{i % 250 + 1}/16")
                pod.add_route("default", via="10.0.0.1")
        return (time.perf_counter() - began) / n
