"""The two ways to hang a pod on its node, behind one signature: `setup` once for each node, `plan` for each pod."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from labkit.cni.wiring import Attachment, Route, Wiring, mac_of
from labkit.linux.rtnetlink import Links

BRIDGE = "cni0"


class Plugin(msgspec.Struct, frozen=True):
    """A CNI plugin. `setup(node, gateway with prefix length)` prepares a node; `plan` is pure."""

    name: str
    setup: Callable[[Links, str], None]
    plan: Callable[[Attachment], Wiring]


def _host_interface(container_id: str) -> str:
    return "veth" + hashlib.sha1(container_id.encode(), usedforsecurity=False).hexdigest()[:8]


def _nothing(_node: Links, _gateway: str) -> None:
    """Routed pods need nothing but their own veth pair."""


def _plan_ptp(a: Attachment) -> Wiring:
    """Routed: the node's end carries the gateway's address, the node has a /32 route to the pod.

    Source: the `ptp` plugin of containernetworking/plugins, as kindnet configures it.
    """
    return Wiring(
        attachment=a,
        host_interface=_host_interface(a.container_id),
        mac=mac_of(a.address),
        pod_address=f"{a.address}/{a.subnet.partition('/')[2]}",
        prefix_route=False,  # neighbours on the same node are behind the gateway too
        pod_routes=(Route(f"{a.gateway}/32"), Route(a.subnet, a.gateway), Route("default", a.gateway)),
        host_address=f"{a.gateway}/32",
        node_routes=(Route(f"{a.address}/32"),),
    )


def _make_bridge(node: Links, gateway: str) -> None:
    node.add_link(BRIDGE, "bridge", up=True)
    # One of its own, else it is the lowest of its ports', and changes under the pods when that port goes.
    node.set_link(BRIDGE, mac=mac_of(gateway.partition("/")[0]))
    node.add_address(BRIDGE, gateway)


def _plan_bridge(a: Attachment) -> Wiring:
    """Bridged: all pods of a node are neighbours on `cni0`, which carries the gateway's address.

    Source: the `bridge` plugin of containernetworking/plugins with isGateway and hairpinMode.
    """
    return Wiring(
        attachment=a,
        host_interface=_host_interface(a.container_id),
        mac=mac_of(a.address),
        pod_address=f"{a.address}/{a.subnet.partition('/')[2]}",
        pod_routes=(Route("default", a.gateway),),
        bridge=BRIDGE,
    )


PLUGINS = {
    plugin.name: plugin for plugin in (Plugin("ptp", _nothing, _plan_ptp), Plugin("bridge", _make_bridge, _plan_bridge))
}
