"""The two ways to hang a pod on its node, behind one signature: `setup` once for each node, `plan` for each pod."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from labkit.cni.wiring import Attachment, Route, Wiring, mac_of
from labkit.linux.rtnetlink import Links

BRIDGE = "cni0"


class Plugin(msgspec.Struct, frozen=True):
    """A CNI plugin. `setup(node, gateways with prefix length)` prepares a node; `plan` is pure."""

    name: str
    setup: Callable[[Links, Sequence[str]], None]
    plan: Callable[[Attachment], Wiring]


def _host_interface(container_id: str) -> str:
    return "veth" + hashlib.sha1(container_id.encode(), usedforsecurity=False).hexdigest()[:8]


def _nothing(_node: Links, _gateways: Sequence[str]) -> None:
    """Routed pods need nothing but their own veth pair."""


def _plan_ptp(a: Attachment) -> Wiring:
    """Routed: the node's end carries the gateway's address, the node has a /32 route to the pod.

    Source: the `ptp` plugin of containernetworking/plugins, as kindnet configures it.
    """
    return Wiring(
        attachment=a,
        host_interface=_host_interface(a.container_id),
        mac=mac_of(a.address),
        pod_addresses=_addresses(a),
        prefix_route=False,  # neighbours on the same node are behind the gateway too
        pod_routes=tuple(
            route
            for subnet, gateway in _networks(a)
            for route in (Route(_alone(gateway)), Route(subnet, gateway), Route("default", gateway))
        ),
        host_addresses=tuple(_alone(gateway) for _, gateway in _networks(a)),
        node_routes=tuple(Route(_alone(address)) for address in filter(None, (a.address, a.address6))),
    )


def _make_bridge(node: Links, gateways: Sequence[str]) -> None:
    node.add_link(BRIDGE, "bridge", up=True)
    # One of its own, else it is the lowest of its ports', and changes under the pods when that port goes.
    node.set_link(BRIDGE, mac=mac_of(gateways[0].partition("/")[0]))
    for gateway in gateways:
        node.add_address(BRIDGE, gateway)


def _plan_bridge(a: Attachment) -> Wiring:
    """Bridged: all pods of a node are neighbours on `cni0`, which carries the gateway's address.

    Source: the `bridge` plugin of containernetworking/plugins with isGateway and hairpinMode.
    """
    return Wiring(
        attachment=a,
        host_interface=_host_interface(a.container_id),
        mac=mac_of(a.address),
        pod_addresses=_addresses(a),
        pod_routes=tuple(Route("default", gateway) for _, gateway in _networks(a)),
        bridge=BRIDGE,
    )


def _networks(a: Attachment) -> list[tuple[str, str]]:
    """The pod ranges, each with its gateway."""
    return [(a.subnet, a.gateway), *([(a.subnet6, a.gateway6)] if a.address6 else [])]


def _addresses(a: Attachment) -> tuple[str, ...]:
    """The pod's addresses with their prefix lengths."""
    pairs = zip((a.address, a.address6), _networks(a), strict=False)
    return tuple(f"{address}/{subnet.partition('/')[2]}" for address, (subnet, _) in pairs)


def _alone(address: str) -> str:
    """The prefix that holds the address and nothing else."""
    return f"{address}/{128 if ':' in address else 32}"


PLUGINS = {
    plugin.name: plugin for plugin in (Plugin("ptp", _nothing, _plan_ptp), Plugin("bridge", _make_bridge, _plan_bridge))
}
