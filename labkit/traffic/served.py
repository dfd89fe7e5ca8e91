"""Who really answered: what the client connected to, followed through the kernel's address translations.

client 10.244.1.5:40000 -> 10.96.0.20:80  ──conntrack of the node──>  10.244.2.7:8080
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.linux import conntrack
from labkit.net.packet import Packet

_NUMBERS = {"TCP": 6, "UDP": 17}
_MOST_TRANSLATIONS = 4  # router, node, …: more would be a loop


def translations(paths: Iterable[str], protocol: str) -> dict[Packet, Packet]:
    """Packet as it came -> packet as it went on, from the conntrack tables of the namespaces at `paths`."""
    return {
        flow.original: flow.reply.reversed()
        for path in paths
        for flow in conntrack.dump(path, _NUMBERS[protocol])
        if flow.translated
    }


def follow(packet: Packet, table: dict[Packet, Packet]) -> Packet:
    """The packet as it reached its server."""
    for _ in range(_MOST_TRANSLATIONS):
        after = table.get(packet)
        if after is None:
            break
        packet = after
    return packet
