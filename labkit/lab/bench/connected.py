"""Connecting to the last of ever more Services, in several modes of kube-proxy. To be called inside a sandbox.

    in one kernel a node for each mode, and one without kube-proxy; at each size, in turn: that one, mode 1, mode 2, …

A machine that is busy for a while is so for all of them. The node without rules is what the others are compared with:
with them a connection past all Services, to an endpoint's own address, may cost as much as one to a Service.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import count

import msgspec

from labkit.lab.bench.many import NODE, PORT, SERVER, services, wired
from labkit.linux import iptables, netns
from labkit.proxy.config import EbpfConfig, ProxyConfig
from labkit.proxy.mode import KnowsPods, Mode, view_of
from labkit.proxy.model import PortKey
from labkit.proxy.modes import MODES
from labkit.proxy.tracker import Tracker
from labkit.sandbox.channel import Peer, Stream

CONFIG = ProxyConfig(ebpf=EbpfConfig(map_max=65536))  # Cilium's own default; a lab's is less, to spare memory
BLOCKS, BLOCK = 10, 30  # connections of each kind: so many times so many
FIRST_PORT = 10_000
PATIENCE = 5  # seconds for one connection


class Bed(msgspec.Struct, frozen=True):
    """Where a node and its client are, and what its server listens at."""

    node: str
    client: str
    listening: socket.socket


def main(channel: Stream) -> None:
    """Serve `connect`."""
    asyncio.run(_serve(channel))


async def _serve(channel: Stream) -> None:
    peer = await Peer.over(channel, {"connect": connect})
    await peer.closed()


async def connect(modes: Sequence[str], sizes: Sequence[int]) -> dict[str, float]:
    """Seconds, the median: "MODE SIZE" to a Service, "MODE past SIZE" to its endpoint itself on the same node, "bare
    SIZE" to that on the node without kube-proxy.
    """
    bare = _bed("bare")
    beds = {name: _bed(name) for name in modes}
    proxies = [await _started(name, bed) for name, bed in beds.items()]
    found: dict[str, float] = {}
    tracker, known, ports = Tracker(), 0, count(FIRST_PORT)
    for size in sizes:
        changed, last = _grown(tracker, known, size)
        view = view_of(tracker, NODE)
        await asyncio.gather(*(proxy.sync(view, changed if known else None) for proxy in proxies))
        known = size
        ways = {name: (bed, last, 80) for name, bed in beds.items()}
        ways |= {f"{name} past": (bed, SERVER, PORT) for name, bed in beds.items()}
        times = await asyncio.to_thread(_measured, {"bare": (bare, SERVER, PORT), **ways}, ports)
        found |= {f"{name} {size}": seconds for name, seconds in times.items()}
    return found


def _bed(name: str) -> Bed:
    node, client, server = wired(name)
    listening = netns.socket_in(server, socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("", PORT))
    listening.listen(1024)
    listening.setblocking(False)
    return Bed(node, client, listening)


async def _started(name: str, bed: Bed) -> Mode:
    mode = MODES[name](bed.node, CONFIG, iptables.probe(bed.node), True)
    await mode.start()
    if isinstance(mode, KnowsPods):
        mode.join(bed.client)
    return mode


def _grown(tracker: Tracker, known: int, size: int) -> tuple[set[PortKey], str]:
    """Have `size` Services in place of `known`: what changed, and the cluster IP of the last one."""
    made, slices = services(size - known, known, alone=True)
    changed: set[PortKey] = set()
    for one, its in zip(made, slices, strict=True):
        changed |= tracker.service(one) | tracker.slice(its)
    return changed, made[-1].spec.cluster_ip


def _measured(ways: dict[str, tuple[Bed, str, int]], ports: Iterator[int]) -> dict[str, float]:
    """The median of each way: where from, and the address and port that are asked for.

    ports  one for the client of each connection. The kernel's own choice may be the same for a Service and for its
           endpoint: two connections that IPVS does not tell apart on their way to the server
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(BLOCKS):
        for _ in range(BLOCK):
            for name, (bed, address, port) in ways.items():
                taken[name].append(_connect(bed.client, next(ports), address, port))
        for bed, _, _ in ways.values():
            _drain(bed.listening)
    return {name: statistics.median(values) for name, values in taken.items()}


def _connect(path: str, mine: int, address: str, port: int) -> float:
    with netns.socket_in(path, socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE)
        sock.bind(("", mine))
        began = time.perf_counter()
        sock.connect((address, port))
        return time.perf_counter() - began


def _drain(listening: socket.socket) -> None:
    """Take what came, between the measurements: a server that is woken by each would be part of what is measured."""
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return
