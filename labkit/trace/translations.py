"""Translations that no conntrack table knows: those of the ebpf mode's programs on the cables of nodes.

They are read from the maps that the mode has pinned, and look like conntrack's entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from labkit.linux.conntrack import Flow
from labkit.net.packet import Packet
from labkit.net.place import Place
from labkit.proxy.ebpf import layout


def translations(places: Sequence[Place]) -> dict[str, list[Flow]]:
    """The connections from outside that are remembered on those of the places that have such maps."""
    folders = {place.name: Path(layout.PINS, Path(place.netns).name) for place in places}
    return {name: _flows(folder) for name, folder in folders.items() if folder.is_dir()}


def _flows(folder: Path) -> list[Flow]:
    from labkit.linux.bpf_map import Map  # libbpf, for labs in this mode alone

    maps = []
    for name in (layout.FLOWS, layout.BACKENDS, layout.NODE):
        with closing(Map.pinned(str(folder / name))) as opened:
            maps.append(opened.items())
    return [_flow(connection) for connection in layout.connections(*maps)]


def _flow(connection: layout.Connection) -> Flow:
    protocol = connection.protocol.upper()
    (client, sport), (service, dport), (endpoint, port), (source, nat) = (
        (ip, int(number))
        for ip, _, number in (
            each.rpartition(":")
            for each in (connection.client, connection.service, connection.endpoint, connection.source)
        )
    )
    return Flow(Packet(client, service, protocol, sport, dport), Packet(endpoint, source, protocol, port, nat))
