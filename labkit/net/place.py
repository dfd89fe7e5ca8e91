"""Where something runs in the lab: a pod, a node, a router, the host outside."""

from __future__ import annotations

from typing import Literal

import msgspec

PlaceKind = Literal["pod", "node", "router", "switch", "outside"]


class Place(msgspec.Struct, frozen=True):
    """A network namespace with the names and files that belong to it.

    name         "default/client" for a pod, "node-1", "router", "internet"
    netns        path of the namespace, bound below /run/netns
    node, zone   of a pod: its node's; of a node: its own; empty where there is none
    resolv_conf  text of /etc/resolv.conf; hosts: text of /etc/hosts; empty means the host's own
    """

    name: str
    kind: PlaceKind
    netns: str
    hostname: str = ""
    node: str = ""
    zone: str = ""
    addresses: tuple[str, ...] = ()
    resolv_conf: str = ""
    hosts: str = ""
