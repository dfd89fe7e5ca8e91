"""The conntrack entries of one packet on all nodes, found from its addresses, one translation after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Self

import msgspec

from labkit.linux.conntrack import Flow
from labkit.linux.conntrack_find import Entries
from labkit.net.packet import Packet
from labkit.net.place import Place
from labkit.trace.correlate import forms


class Connections:
    """The tables of some places; a context manager. Raises `NetlinkError` where a kernel has none.

    born        the connections that began there meanwhile. Those that the tables have forgotten by now are "DESTROYED"
    translated  what was translated there without such a table
    """

    def __init__(
        self,
        places: Sequence[Place],
        born: Mapping[str, Sequence[Flow]],
        translated: Mapping[str, Sequence[Flow]],
    ) -> None:
        self._places = places
        self._translated = {
            (name, packet): flow
            for name, flows in translated.items()
            for flow in flows
            for packet in (flow.original, flow.reply)
        }
        self._born = {
            (name, packet): msgspec.structs.replace(flow, state="DESTROYED", timeout=0)
            for name, flows in born.items()
            for flow in flows
            for packet in (flow.original, flow.reply)
        }
        self._tables: dict[str, Entries] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with self._open as undo:
            for place in self._places:
                self._tables[place.name] = undo.enter_context(Entries(place.netns))
            self._open = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def original(self, place: str, packet: Packet) -> Packet:
        """What a packet that leaves a place was before the place translated it; itself where nothing did."""
        flow = self._find(place, packet.reversed()) if place in self._tables else None
        return flow.original if flow and flow.reply == packet.reversed() else packet

    def _find(self, place: str, packet: Packet) -> Flow | None:
        key = place, packet
        return self._tables[place].find(packet) or self._born.get(key) or self._translated.get(key)

    def of(self, packet: Packet) -> dict[str, list[Flow]]:
        """The packet's entries by place, in no order, however its addresses change on the way."""
        found: dict[str, list[Flow]] = {name: [] for name in self._tables}
        known = [packet]
        for form in known:  # grows while it is walked
            for name in self._tables:
                flow = self._find(name, form)
                if flow and flow.original == form and flow not in found[name]:
                    found[name].append(flow)
                    known += [other for other in forms(flow) if other not in known]
        return found
