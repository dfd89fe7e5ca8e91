"""What a client asks for when it starts a lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of `labkit.lab.start`, which checks them, and what it knows of the sandbox.

    nodes, zones, cni, link, seed, needs, pace   as there; variant: its `iptables`
    proxy_config  of kube-proxy, its mode in it; empty where nothing was said: a lab that comes back keeps its own
    dual          whether there is IPv6 beside IPv4: its `ip_families`
    node_ports    first and last port of its `service_node_port_range`
    kube_proxy    the program that is to be the nodes' kube-proxy, empty for the lab's own
    listener      the descriptor of the API's listening socket on the host, -1 where there is none
    kept          the folder of the lab's state, empty where it is not kept; it comes back with what is in there
    synchronous   "NORMAL", or "FULL" where a file's pages are in this kernel only until they are synced: in a guest
    """

    nodes: int
    zones: Sequence[str]
    cni: str
    proxy_config: Mapping[str, Any]
    kube_proxy: str
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
