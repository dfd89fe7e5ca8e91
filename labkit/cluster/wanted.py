"""What a client asks for when it starts a lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `labkit.lab.start`, which checks them, and what it knows of the sandbox.

    nodes, zones, cni, proxy_mode, link, seed, needs, pace   as there; variant: its `iptables`
    dual          whether there is IPv6 beside IPv4: its `ip_families`
    node_ports    first and last port of its `service_node_port_range`
    listener      the descriptor of the API's listening socket on the host, -1 where there is none
    kept          the folder of the lab's state, empty where it is not kept; it comes back with what is in there
    synchronous   "NORMAL", or "FULL" where a file's pages are in this kernel only until they are synced: in a guest
    """

    nodes: int
    zones: Sequence[str]
    cni: str
    proxy_mode: str
    variant: str
    dual: bool
    node_ports: tuple[int, int]
    link: Mapping[str, Any]
    seed: int
    needs: Sequence[str]
    pace: float
    listener: int
    kept: str
    synchronous: str
