"""What the ebpf mode's programs did with a connection: no conntrack table and no rule tracing of netfilter tells of it.

    from a pod or node    the socket got another destination as it connected: the packet never had the Service's
    from outside          translated on a node's cable: like a conntrack entry, from the map of connections

The entries of the map of Services that were looked up are hits, as `cilium-dbg bpf lb list` prints them. All is read
from the maps that the mode has pinned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.linux.conntrack import Flow
from labkit.net.packet import Packet, endpoint, split_endpoint
from labkit.net.path import RuleHit
from labkit.net.place import Place
from labkit.proxy.ebpf import PINS
from labkit.trace.correlate import Asked
from labkit.trace.rules import Evaluated

if TYPE_CHECKING:
    from labkit.proxy.ebpf.layout import Connection
    from labkit.proxy.ebpf.maps import Maps
    from labkit.proxy.ebpf.plan import EbpfPlan

_Flows = Mapping[str, Sequence[Flow]]


def translations(places: Sequence[Place]) -> dict[str, list[Flow]]:
    """The connections from outside that are remembered on those of the places that have such maps."""
    folders = {place.name: Path(PINS, Path(place.netns).name) for place in places}
    return {name: list(_flows(folder)) for name, folder in folders.items() if folder.is_dir()}


def with_lookups(
    evaluated: Sequence[Evaluated], asked: Asked, packet: Packet, flows: _Flows, translated: _Flows
) -> list[Evaluated]:
    """The rules, behind the entries that the programs looked up, each on the node whose maps they are.

    flows: the packet's own; translated: `translations`
    """
    found: list[Evaluated] = []
    home, wanted = asked.source.node or asked.home, str(asked.row.get("remote") or "")
    if home in translated and wanted != endpoint(packet.dst, packet.dport):
        found += _lookups(home, "", wanted, Flow(packet, packet.reversed()))
    for place, known in translated.items():
        for flow in flows.get(place, ()):
            if flow in known:
                to = endpoint(flow.original.dst, flow.original.dport)
                found += _lookups(place, "cil_from_netdev", to, flow)
    return [*found, *evaluated]


def _lookups(place: str, program: str, to: str, flow: Flow) -> Iterator[Evaluated]:
    """The frontend's first entry, and the one of the endpoint; without a program: those that a socket's found."""
    from labkit.proxy.ebpf.maps import maps_for
    from labkit.proxy.ebpf.plan import entries

    if not to:
        return
    ip, port = split_endpoint(to)
    maps, protocol = maps_for(ip), flow.original.protocol.lower()
    plan = _plan(Path(PINS, place), maps)
    frontend = plan.frontends.get((ip, port, protocol)) if plan else None
    if plan is None or frontend is None:
        return
    internal = not program and frontend.internal is not None
    chosen = (flow.reply.src, flow.reply.sport or 0, protocol)
    backends = frontend.internal or () if internal else frontend.backends
    slots = [0, backends.index(chosen) + 1] if chosen in backends else [0]
    lines = entries(frontend, plan.numbers[frontend.address], internal)
    for slot in slots:
        hit = RuleHit(place, maps.services, program or maps.connect, slot, " ".join(lines[slot]))
        yield Evaluated(hit, "DNAT" if slot else "")


def _plan(folder: Path, maps: Maps) -> EbpfPlan | None:
    """None where the node's proxy does not serve the family."""
    from labkit.proxy.ebpf.decode import decode

    if not (pins := folder / maps.family).is_dir():
        return None
    names = (maps.services, maps.backends, maps.source_range)
    return decode({(name, key): value for name in names for key, value in _read(pins, name).items()}, maps)


def _flows(folder: Path) -> Iterator[Flow]:
    from labkit.proxy.ebpf import layout
    from labkit.proxy.ebpf.maps import MAPS

    for family, maps in MAPS.items():
        if (pins := folder / family).is_dir():
            read = [_read(pins, name) for name in (maps.flows, maps.backends, maps.node)]
            yield from (_flow(connection) for connection in layout.connections(*read))


def _read(folder: Path, name: str) -> dict[bytes, bytes]:
    from labkit.linux.bpf_map import Map  # libbpf, for labs in this mode alone

    with closing(Map.pinned(str(folder / name))) as opened:
        return opened.items()


def _flow(connection: Connection) -> Flow:
    protocol = connection.protocol.upper()
    (client, sport), (service, dport) = split_endpoint(connection.client), split_endpoint(connection.service)
    (server, port), (source, nat) = split_endpoint(connection.endpoint), split_endpoint(connection.source)
    return Flow(Packet(client, service, protocol, sport, dport), Packet(server, source, protocol, port, nat))
