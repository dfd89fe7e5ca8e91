"""What `labkit bench proxy` measures in a sandbox: a node, a client and a server, and as many Services as asked for."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import msgspec

from labkit.api.objects import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    Node,
    NodeAddress,
    NodeStatus,
    ObjectMeta,
    Service,
    ServicePort,
    ServiceSpec,
)
from labkit.lab.bench.nftables import nftables
from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.linux.rtnetlink import Links
from labkit.proxy.config import ProxyConfig
from labkit.proxy.iptables.mode import IptablesMode
from labkit.proxy.mode import KnowsPods, view_of
from labkit.proxy.modes import MODES
from labkit.proxy.tracker import Tracker, tracked
from labkit.sandbox.channel import Peer, Stream

NODE = Node(
    metadata=ObjectMeta(name="node-1"),
    status=NodeStatus(addresses=(NodeAddress(type="InternalIP", address="10.244.1.1"),)),
)
CLIENT, SERVER, PORT = "10.244.1.2", "10.244.2.2", 8080
CHANGES, CONNECTS = 5, 300


def main(channel: Stream) -> None:
    """Serve `restored`, `latency` and `nftables`."""
    asyncio.run(_serve(channel))


async def _serve(channel: Stream) -> None:
    peer = await Peer.over(channel, {"restored": restored, "latency": latency, "nftables": nftables})
    await peer.closed()


def services(n: int, first: int = 0) -> tuple[list[Service], list[EndpointSlice]]:
    """`n` Services with two endpoints each; the second one is on this node's server."""
    made, slices = [], []
    for i in range(first, first + n):
        name = f"app-{i:05}"
        port = ServicePort(name="http", port=80, target_port=PORT, protocol="TCP")
        spec = ServiceSpec(cluster_ip=f"10.{96 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}", ports=(port,))
        made.append(Service(metadata=ObjectMeta(name=name, namespace="bench"), spec=spec))
        labels = {"kubernetes.io/service-name": name}
        other = f"10.244.{i // 250 % 200 + 3}.{i % 250 + 1}"
        ends = tuple(Endpoint(addresses=(ip,), node_name=NODE.name) for ip in (other, SERVER))
        meta = ObjectMeta(name=f"{name}-1", namespace="bench", labels=labels)
        into = (EndpointPort(name="http", protocol="TCP", port=PORT),)
        slices.append(EndpointSlice(metadata=meta, endpoints=ends, ports=into))
    return made, slices


async def restored(variant: str, n: int) -> dict[str, float]:
    """Seconds for all Services, for a change of one, and for one more, each beside iptables-restore fed the same text.

    "compute" is the CPU time of this process for one more.
    """
    chosen = Variant(variant)
    made, slices = services(n)
    tracker = tracked(made, slices)
    ours, bare = netns.create("ours"), netns.create("bare")
    mode = IptablesMode(ours, variant=chosen, fresh=True)
    found = {}
    began = time.perf_counter()
    text = await mode.sync(view_of(tracker, NODE), None)
    found["full"] = time.perf_counter() - began
    found["full bare"] = _restore(bare, text, chosen)
    changes = [_fewer(tracker, slices[n // 2 + i]) for i in range(CHANGES)]
    found |= await _one(mode, tracker, changes, bare, chosen, "changed")
    more = [_more(tracker, n + i) for i in range(CHANGES)]
    found |= await _one(mode, tracker, more, bare, chosen, "added")
    netns.delete(ours)
    netns.delete(bare)
    return found


async def _one(
    mode: IptablesMode,
    tracker: Tracker,
    changes: Sequence[frozenset[tuple[str, str]]],
    bare: str,
    variant: Variant,
    name: str,
) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [], f"{name} bare": [], f"{name} compute": []}
    for changed in changes:
        began, ticks = time.perf_counter(), time.process_time()
        text = await mode.sync(view_of(tracker, NODE), changed)
        taken[f"{name} compute"].append(time.process_time() - ticks)
        taken[name].append(time.perf_counter() - began)
        taken[f"{name} bare"].append(_restore(bare, text, variant))
    return {key: statistics.median(values) for key, values in taken.items()}


def _restore(path: str, text: str, variant: Variant) -> float:
    began = time.perf_counter()
    iptables.restore(path, text, variant)
    return time.perf_counter() - began


def _fewer(tracker: Tracker, one: EndpointSlice) -> frozenset[tuple[str, str]]:
    return tracker.slice(msgspec.structs.replace(one, endpoints=one.endpoints[:1]))


def _more(tracker: Tracker, number: int) -> frozenset[tuple[str, str]]:
    made, slices = services(1, number)
    return tracker.slice(slices[0]) | tracker.service(made[0])


async def latency(mode: str, variant: str, sizes: Sequence[int]) -> dict[str, float]:
    """Seconds to connect to the last of so many Services, by size, and "direct" to the server's own address."""
    node, client, server = _wired()
    listening = netns.socket_in(server, socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("", PORT))
    listening.listen(1024)
    Thread(target=_accept, args=(listening,), daemon=True).start()
    proxy = MODES[mode](node, ProxyConfig(), Variant(variant), True)
    await proxy.start()
    if isinstance(proxy, KnowsPods):
        proxy.join(client)
    found = {"direct": await asyncio.to_thread(_connects, client, SERVER, PORT)}
    tracker, known = Tracker(), 0
    for size in sizes:
        made, slices = services(size - known, known)
        if known:
            slices.append(services(1, known - 1)[1][0])
        slices[size - known - 1] = _only_server(slices[size - known - 1])
        known = size
        changed = frozenset[tuple[str, str]]()
        for one in made:
            changed |= tracker.service(one)
        for each in slices:
            changed |= tracker.slice(each)
        await proxy.sync(view_of(tracker, NODE), changed if size != sizes[0] else None)
        last = made[-1].spec.cluster_ip
        found[str(size)] = await asyncio.to_thread(_connects, client, last, 80)
    await proxy.stop()
    return found


def _only_server(one: EndpointSlice) -> EndpointSlice:
    return msgspec.structs.replace(one, endpoints=one.endpoints[1:])


def _wired() -> tuple[str, str, str]:
    """A node with a client and a server behind cables of their own, and one to the world."""
    node, client, server, world = (netns.create(name) for name in ("node", "client", "server", "world"))
    with Links(node) as links:
        links.add_veth("eth0", "eth0", world)
        links.set_link("eth0", up=True)
    for name, path, address in (("client", client, CLIENT), ("server", server, SERVER)):
        gateway = f"{address.rpartition('.')[0]}.1"
        with Links(node) as links:
            links.add_veth(name, "eth0", path)
            links.set_link(name, up=True)
            links.add_address(name, f"{gateway}/24")
        with Links(path) as links:
            links.set_link("lo", up=True)
            links.set_link("eth0", up=True)
            links.add_address("eth0", f"{address}/24")
            links.add_route("default", via=gateway)
    with netns.entered(node):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    return node, client, server


def _accept(listening: socket.socket) -> None:
    while True:
        listening.accept()[0].close()


def _connects(path: str, address: str, port: int) -> float:
    """The median of CONNECTS connections, one after the other."""
    taken = []
    for _ in range(CONNECTS):
        with netns.socket_in(path, socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            began = time.perf_counter()
            sock.connect((address, port))
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)
