"""Who really answered: what the client connected to, followed through the kernel's address translations.

    10.244.1.5:40000 -> 10.96.0.20:80  ── conntrack of the client's node ──>  10.244.1.5:40000 -> 10.244.2.7:8080

    10.244.1.5:40000 -> 172.18.2.12:30080  ── of the client's node ──>  172.18.1.11:40000 -> 172.18.2.12:30080
                                           ── of that other node ──>  172.18.2.12:51234 -> 10.244.2.7:8080

A few packets are looked up one by one, many in a dump of the whole table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

from labkit.linux import conntrack
from labkit.linux.conntrack import Flow
from labkit.linux.conntrack_find import Entries
from labkit.net.packet import Packet

_NUMBERS = {"TCP": 6, "UDP": 17}
_FEW = 20  # look-ups cost 40 µs each, a dump 11 ms before its first entry
_MOST_TRANSLATIONS = 4  # router, node, …: more would be a loop

Translate = Callable[[Packet], Packet | None]


def delivered(
    packets: Sequence[Packet], paths: Sequence[str], machines: Mapping[str, Sequence[str]]
) -> dict[Packet, Packet]:
    """Each packet as it reached its server, by what the network namespaces at `paths` did to it.

    machines  address -> network namespaces: what was sent on to such an address is followed in these as well

    All are of one protocol. Those that nobody translated are left out. Raises `NetlinkError` where a kernel has no
    connection tracking.
    """
    found = _translated(packets, paths)
    arrived: dict[tuple[str, ...], dict[Packet, Packet]] = {}
    for packet in packets:
        last = found.get(packet, packet)
        there = tuple(path for path in machines.get(last.dst, ()) if path not in paths)
        arrived.setdefault(there, {})[packet] = last
    for there, those in arrived.items():
        further = _translated(list(those.values()), there)
        found.update({packet: further[last] for packet, last in those.items() if last in further})
    return found


def _translated(packets: Sequence[Packet], paths: Sequence[str]) -> dict[Packet, Packet]:
    if not packets or not paths:
        return {}
    if len(packets) > _FEW or any(":" in packet.src for packet in packets):
        table = _table(paths, packets[0].protocol)
        return {packet: follow(packet, table.get) for packet in packets if packet in table}
    with ExitStack() as stack:
        entries = [stack.enter_context(Entries(path)) for path in paths]

        def translate(packet: Packet) -> Packet | None:
            found = (entry.find(packet) for entry in entries)
            return latest(f for f in found if f and f.original == packet).get(packet)

        return {packet: last for packet in packets if (last := follow(packet, translate)) != packet}


def follow(packet: Packet, translate: Translate) -> Packet:
    """The packet after all its translations."""
    for _ in range(_MOST_TRANSLATIONS):
        after = translate(packet)
        if after is None:
            break
        packet = after
    return packet


def latest(flows: Iterable[Flow]) -> dict[Packet, Packet]:
    """Where each translated packet went, by entries of several nodes.

    A client uses its ports again, and may come by another node then: the first one's entry is still there for two
    minutes. Of several entries the one that will be kept longest is the latest.
    """
    found: dict[Packet, Flow] = {}
    for flow in flows:
        if flow.translated and flow.timeout >= found.get(flow.original, flow).timeout:
            found[flow.original] = flow
    return {packet: flow.reply.reversed() for packet, flow in found.items()}


def _table(paths: Sequence[str], protocol: str) -> dict[Packet, Packet]:
    return latest(flow for path in paths for flow in conntrack.dump(path, _NUMBERS[protocol]))
